// Which entries an agent may serve: those below its own ID and below its aliases, and, since an entry's SPIFFE ID can
// be a parent in turn, below those. Pure.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AttestedNode, Entry } from '../store/store.ts';
import type { EntryIndex } from './entry-index.ts';

/** An agent's entries by ID, and until when (seconds) this answer holds if nothing is written. */
export interface AuthorizedEntries {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly validUntil: number;
}

/** Whether an entry has expired: it is then neither served nor a link to others, however long until it is pruned. */
export function isExpired(entry: Entry, seconds: number): boolean {
  return entry.expiresAt !== 0 && seconds >= entry.expiresAt;
}

/** The entries that an agent may serve at a time (seconds). Aliases themselves are names, and not served. */
export function authorizedEntries(index: EntryIndex, node: AttestedNode, seconds: number): AuthorizedEntries {
  const entries = new Map<string, Entry>();
  let validUntil = Infinity;
  const counts = (entry: Entry) => {
    if (isExpired(entry, seconds)) return false;
    if (entry.expiresAt !== 0) validUntil = Math.min(validUntil, entry.expiresAt);
    return true;
  };
  const aliases = index.aliasesOf(node.selectors).filter(counts);
  const seen = new Set<SpiffeId>([node.id, ...aliases.map(({ spiffeId }) => spiffeId)]);
  // A set grows while it is walked; each parent is visited once, so loops of entries end.
  for (const parent of seen) {
    for (const entry of index.childrenOf(parent)) {
      if (!counts(entry)) continue;
      entries.set(entry.id, entry);
      seen.add(entry.spiffeId);
    }
  }
  return { entries, validUntil };
}
