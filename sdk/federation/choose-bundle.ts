// Which of two bundles of a trust domain is in effect (Federation 5.2.4, Trust Domain and Bundle 4.1.1). Pure.
import { isSameBundle } from '../bundle/serialize-bundle.ts';
import type { SpiffeBundle } from '../bundle/spiffe-bundle.ts';

/** What a poll means for the stored bundle. */
export type BundleChoice = 'updated' | 'unchanged' | 'kept';

/**
 * `kept` if the fetched bundle has a lower sequence than the stored one: an endpoint, a mirror or an attacker that serves
 * an older bundle must not bring a withdrawn key back. Where either has no sequence, the last fetched is in effect.
 */
export function chooseBundle(stored: SpiffeBundle | undefined, fetched: SpiffeBundle): BundleChoice {
  if (stored === undefined) return 'updated';
  if (stored.sequence !== undefined && fetched.sequence !== undefined && fetched.sequence < stored.sequence) {
    return 'kept';
  }
  return isSameBundle(stored, fetched) ? 'unchanged' : 'updated';
}
