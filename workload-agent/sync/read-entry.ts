// An entry as the server sends it becomes an entry as the agent keeps it. Pure.
import type { Entry as EntryMessage } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { parseTrustDomain, spiffeIdOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { WorkloadEntry } from '../svid-cache/entry.ts';

/**
 * Reads an entry.
 *
 * @throws Error if it is not one that this agent can serve.
 */
export function readEntry(message: EntryMessage, trustDomain: TrustDomain): WorkloadEntry {
  if (message.id === '') throw new Error('the entry has no id');
  const { spiffeId } = message;
  if (spiffeId === undefined || parseTrustDomain(spiffeId.trustDomain) !== trustDomain) {
    throw new Error(`the entry is not of the trust domain ${trustDomain}`);
  }
  if (message.selectors.length === 0) throw new Error('the entry has no selectors');
  return {
    id: message.id,
    spiffeId: spiffeIdOf(trustDomain, spiffeId.path),
    selectors: [...new Set(message.selectors.map(({ type, value }) => `${type}:${value}`))].sort(),
    federatesWith: [...new Set(message.federatesWith.map(parseTrustDomain))].sort(),
    hint: message.hint,
    revision: message.revisionNumber,
    createdAt: message.createdAt,
    storeSvid: message.storeSvid,
  };
}
