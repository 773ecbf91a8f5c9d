// The SVID service: agents trade CSRs for the SVIDs of entries that they may serve, administrators mint.
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
import { mintOrderOf, publicKeyInfoOfCsr } from './csr.ts';
import { newDownstreamCa } from './downstream.ts';
import type { ServiceOptions } from './services.ts';
import { expectWit, mintJwt, mintWit, newJwt, newWit, ttlOf } from './token-svids.ts';

type Result = MessageInitShape<typeof BatchNewX509SVIDResponse_ResultSchema>;

/** SPIRE's limit: an agent's largest batch. */
export const MAX_SVIDS = 500;
// A batch signs for as long as a batch takes; streams of others must move in between.
const SIGNED_AT_ONCE = 16;

export function svidService(options: ServiceOptions): Handlers<typeof SVID, Caller> {
  return {
    async mintX509SVID({ csr, ttl }) {
      const order = mintOrderOf(csr, options.trustDomain);
      const signed = await options.ca.signX509({ ...order, ttl: ttlOf(ttl, options.defaultX509SvidTtl) });
      return { svid: svidMessage(signed) };
    },
    mintJWTSVID: async (request) => ({ svid: await mintJwt(request, options) }),
    mintWITSVID: async (request) => ({ svid: await mintWit(request, options) }),
    async batchNewX509SVID({ params }, context) {
      const entries = options.registry.authorizedEntries(agentIdOf(context));
      return { results: await inTurns(params, (item) => issue(item, entries, options)) };
    },
    newJWTSVID: async (request, context) => ({ svid: await newJwt(request, context, options) }),
    async batchNewWITSVID({ params }, context) {
      expectWit(options.ca);
      const entries = options.registry.authorizedEntries(agentIdOf(context));
      return { results: await inTurns(params, (item) => newWit(item, entries, options)) };
    },
    newDownstreamX509CA: (request, context) => newDownstreamCa(request, context, options),
  };
}

async function inTurns<Item, Answer>(
  items: readonly Item[],
  sign: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  if (items.length > MAX_SVIDS) {
    throw new RpcError('RESOURCE_EXHAUSTED', `rate (${items.length}) exceeds burst size (${MAX_SVIDS})`);
  }
  const answers: Answer[] = [];
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % SIGNED_AT_ONCE === 0) await yieldToOthers();
    answers.push(await sign(item));
  }
  return answers;
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
  const svid = await options.ca.signX509({
    id: entry.spiffeId,
    publicKeyInfo,
    ttl: ttlOf(entry.x509SvidTtl, options.defaultX509SvidTtl),
    dnsNames: entry.dnsNames,
  });
  return { status: OK, svid: { ...svidMessage(svid), hint: entry.hint } };
}
