// The SVID service: agents trade CSRs for the SVIDs of entries that they may serve.
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { messageOf } from '../../sdk/error.ts';
import type {
  BatchNewX509SVIDResponse_ResultSchema,
  NewX509SVIDParams,
  SVID,
} from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { Entry } from '../store/store.ts';
import { agentIdOf, type Caller } from './caller.ts';
import { failure, OK, svidMessage } from './convert.ts';
import { publicKeyInfoOfCsr } from './csr.ts';
import type { ServiceOptions } from './services.ts';

type Result = MessageInitShape<typeof BatchNewX509SVIDResponse_ResultSchema>;

/** SPIRE's limit: an agent's largest batch. */
export const MAX_SVIDS = 500;
// A batch signs for as long as a batch takes; streams of others must move in between.
const SIGNED_AT_ONCE = 16;

export function svidService(options: ServiceOptions): Handlers<typeof SVID, Caller> {
  return {
    async batchNewX509SVID({ params }, context) {
      if (params.length > MAX_SVIDS) {
        throw new RpcError('RESOURCE_EXHAUSTED', `rate (${params.length}) exceeds burst size (${MAX_SVIDS})`);
      }
      const entries = options.registry.authorizedEntries(agentIdOf(context));
      const results: Result[] = [];
      for (const [index, item] of params.entries()) {
        if (index > 0 && index % SIGNED_AT_ONCE === 0) await yieldToOthers();
        results.push(await issue(item, entries, options));
      }
      return { results };
    },
  };
}

async function issue(
  { entryId, csr }: NewX509SVIDParams,
  entries: ReadonlyMap<string, Entry>,
  options: ServiceOptions,
): Promise<Result> {
  if (entryId === '') return { status: failure('INVALID_ARGUMENT', 'missing entry ID') };
  if (csr.length === 0) return { status: failure('INVALID_ARGUMENT', 'missing CSR') };
  const entry = entries.get(entryId);
  if (entry === undefined) {
    return { status: failure('NOT_FOUND', 'entry not found or not authorized') };
  }
  let publicKeyInfo: Uint8Array;
  try {
    publicKeyInfo = publicKeyInfoOfCsr(csr, options.trustDomain);
  } catch (error) {
    return { status: failure('INVALID_ARGUMENT', messageOf(error)) };
  }
  const svid = await options.ca.sign({
    id: entry.spiffeId,
    publicKeyInfo,
    ttl: entry.x509SvidTtl > 0 ? entry.x509SvidTtl * 1_000 : options.defaultX509SvidTtl,
    dnsNames: entry.dnsNames,
  });
  return { status: OK, svid: { ...svidMessage(svid), hint: entry.hint } };
}
