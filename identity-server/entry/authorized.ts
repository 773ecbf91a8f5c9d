// Which entries an agent may serve: those below its own ID and below its aliases, and, since an entry's SPIFFE ID can
// be a parent in turn, below those. Pure.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AttestedNode, Entry } from '../store/store.ts';
import type { EntryIndex } from './entry-index.ts';

/** Whether an entry has expired: it is then neither served nor a link to others, however long until it is pruned. */
export function isExpired(entry: Entry, seconds: number): boolean {
  return entry.expiresAt !== 0 && seconds >= entry.expiresAt;
}

/** Where an agent's entries begin, and until when (seconds) that holds if nothing is written. */
export interface Roots {
  readonly roots: ReadonlySet<SpiffeId>;
  readonly validUntil: number;
}

/** The agent's own ID and its aliases at a time (seconds). Aliases themselves are names, and not served. */
export function rootsOf(index: EntryIndex, node: AttestedNode, seconds: number): Roots {
  const roots = new Set([node.id]);
  let validUntil = Infinity;
  for (const alias of index.aliasesOf(node.selectors)) {
    if (isExpired(alias, seconds)) continue;
    if (alias.expiresAt !== 0) validUntil = Math.min(validUntil, alias.expiresAt);
    roots.add(alias.spiffeId);
  }
  return { roots, validUntil };
}
