// The switch that WIT-SVIDs stand behind, and the names they go by.
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import type { TokenKind } from '../jwt-svid/compact.ts';

/** The field that carries a WIT-SVID (draft-ietf-wimse-workload-creds). */
export const WIT_FIELD = 'workload-identity-token';

/** How WIT-SVIDs name themselves in errors. */
export const WIT_SVID: TokenKind = { name: 'WIT-SVID', code: 'ERR_SVID_NOT_AN_SVID' };

/**
 * Fails unless WIT-SVIDs were switched on: the standard is Incubating and may change (STAB-01).
 *
 * @throws TypeError.
 */
export function expectWitEnabled(options: { readonly experimental?: Experimental } | undefined): void {
  if (options?.experimental?.wit !== true) {
    throw new TypeError('WIT-SVIDs are experimental: pass experimental: { wit: true } to use them');
  }
}
