// Checks a token's signature with the keys of one bundle: by key ID, and for want of one, with each key that fits.
import type { KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { trustDomainOf, type SpiffeId } from '../spiffe-id.ts';
import { algorithmFits, isSignedWith } from './algorithm.ts';
import { signedPartsOf, type OpenedToken, type TokenKind } from './compact.ts';

/** How many keys are tried for a token without a key ID (C-05): it bounds what one hostile token can cost. */
export const MAX_KEYS_TRIED = 16;

/**
 * Fails unless one of `authorities` signed the token. The refusal says the same for an unknown key ID, a key that does
 * not fit and a wrong signature.
 *
 * @throws SpiffeError `ERR_SVID_NO_BUNDLE` without authorities, `ERR_SVID_UNTRUSTED`, or the code of `kind`.
 */
export function expectSignedByAuthority(
  opened: OpenedToken,
  kind: TokenKind,
  id: SpiffeId,
  authorities: ReadonlyMap<string, KeyObject> | undefined,
): void {
  const trustDomain = trustDomainOf(id);
  if (authorities === undefined || authorities.size === 0) {
    throw new SpiffeError(
      'ERR_SVID_NO_BUNDLE',
      `${id} is not trusted: no bundle has ${kind.name} keys of the trust domain ${trustDomain}`,
      { detail: { id } },
    );
  }
  const { data, signature } = signedPartsOf(opened, kind);
  const signed = (key: KeyObject) => isSignedWith(opened.algorithm, data, key, signature);
  const keys = candidates(opened, authorities);
  if (keys.some(signed)) return;
  throw new SpiffeError(
    'ERR_SVID_UNTRUSTED',
    `${id} is not trusted: no authority of ${trustDomain} signed its ${kind.name}`,
    { detail: { id } },
  );
}

function candidates(opened: OpenedToken, authorities: ReadonlyMap<string, KeyObject>): readonly KeyObject[] {
  const { kid } = opened.header;
  if (typeof kid === 'string') {
    const key = authorities.get(kid);
    return key === undefined ? [] : [key];
  }
  return [...authorities.values()]
    .filter((key) => algorithmFits(opened.algorithm, key))
    .slice(0, MAX_KEYS_TRIED);
}
