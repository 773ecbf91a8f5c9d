// When two entries say the same: equal SPIFFE ID, parent and set of selectors (SPIRE compares nothing else).
import { createHash } from 'node:crypto';
import type { Entry, Selector } from '../store/store.ts';

/** A selector as one string; types hold no colon, so it is unambiguous. */
export function selectorKey(selector: Selector): string {
  return `${selector.type}:${selector.value}`;
}

/** A digest that two entries share exactly when they are similar. */
export function similarityKey(entry: Pick<Entry, 'spiffeId' | 'parentId' | 'selectors'>): string {
  const selectors = [...new Set(entry.selectors.map(selectorKey))].sort();
  return createHash('sha256')
    .update(JSON.stringify([entry.spiffeId, entry.parentId, selectors]))
    .digest('hex');
}
