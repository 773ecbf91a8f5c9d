// BatchNewX509SVID: fresh keys, one CSR an entry. The keys never leave this process but to their workload.
import { Buffer } from 'node:buffer';
import type { KeyType } from '../../daemon/key-manager/key-manager.ts';
import { generatePrivateKey } from '../../daemon/key-manager/local-key.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { RPC_TIMEOUT } from '../node-attestation/server-connection.ts';
import { authorityKeyOf } from '../authority-key.ts';
import { renewalTime } from '../renewal.ts';
import type { IssuedX509Svid, WorkloadEntry } from '../svid-cache/entry.ts';
import { messageOf } from '../../sdk/error.ts';

/** What {@link fetchSvids} needs. */
export interface FetchSvidsOptions {
  readonly client: GrpcClient;
  readonly keyType: KeyType;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly random: () => number;
}

/** What came of a batch: entries that got no SVID are named with the reason. */
export interface FetchedSvids {
  readonly svids: readonly IssuedX509Svid[];
  readonly failures: readonly { readonly entry: WorkloadEntry; readonly reason: string }[];
}

/** Keys that are made at once: their number bounds memory and threads, not the batch. */
const KEYS_AT_ONCE = 8;

/** One batch. */
export async function fetchSvids(
  entries: readonly WorkloadEntry[],
  options: FetchSvidsOptions,
): Promise<FetchedSvids> {
  const keys: Uint8Array[] = [];
  const params: { entryId: string; csr: Uint8Array }[] = [];
  for (let start = 0; start < entries.length; start += KEYS_AT_ONCE) {
    await Promise.all(
      entries.slice(start, start + KEYS_AT_ONCE).map(async (entry, offset) => {
        const key = await generatePrivateKey(options.keyType);
        keys[start + offset] = new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }));
        params[start + offset] = { entryId: entry.id, csr: createCsr(key, entry.spiffeId) };
      }),
    );
  }
  const call = { timeout: RPC_TIMEOUT, signal: options.signal };
  const { results } = await options.client.unary(SVID.method.batchNewX509SVID, { params }, call);
  if (results.length !== entries.length) {
    throw new Error(`the server answered ${results.length} of ${entries.length} CSRs`);
  }
  const svids: IssuedX509Svid[] = [];
  const failures: { entry: WorkloadEntry; reason: string }[] = [];
  for (const [index, result] of results.entries()) {
    const entry = entries[index]!;
    try {
      if ((result.status?.code ?? 0) !== 0) throw new Error(result.status!.message);
      const chain = new Uint8Array(Buffer.concat(result.svid?.certChain ?? []));
      svids.push(issued(entry, chain, keys[index]!, options));
    } catch (error) {
      failures.push({ entry, reason: messageOf(error) });
    }
  }
  return { svids, failures };
}

// What a workload will be handed is checked as if a stranger had sent it.
function issued(
  entry: WorkloadEntry,
  chain: Uint8Array,
  privateKey: Uint8Array,
  { now, random }: FetchSvidsOptions,
): IssuedX509Svid {
  const { id, serial, notAfter, certificates } = parseX509Svid(chain, privateKey);
  if (id !== entry.spiffeId) throw new Error(`the server issued ${id}, not ${entry.spiffeId}`);
  const time = now();
  if (notAfter <= time) throw new Error('the SVID has expired already: are the clocks right?');
  return {
    entryId: entry.id,
    spiffeId: entry.spiffeId,
    revision: entry.revision,
    createdAt: entry.createdAt,
    certificates: chain,
    privateKey,
    serial,
    authority: authorityKeyOf(certificates),
    notAfter,
    renewAt: renewalTime(time, notAfter, random),
  };
}
