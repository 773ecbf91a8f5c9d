// The signature algorithms of RFC 9421 3.3. WIT-SVIDs name theirs in JOSE's terms (3.3.7), and four of those are the
// registered ones under another name; ed25519 is here for the RFC's own vectors and other profiles, since no WIT-SVID can
// name it (WIT-08).
import { sign, verify, type KeyObject } from 'node:crypto';
import { isSignedWith, signWith, type JwsAlgorithm } from '../../jwt-svid/algorithm.ts';

/** A name of the RFC's registry. */
export type HttpSignatureAlgorithm =
  | 'ecdsa-p256-sha256'
  | 'ecdsa-p384-sha384'
  | 'rsa-pss-sha512'
  | 'rsa-v1_5-sha256'
  | 'ed25519';

const JOSE_NAMES: ReadonlyMap<string, JwsAlgorithm> = new Map([
  ['ecdsa-p256-sha256', 'ES256'],
  ['ecdsa-p384-sha384', 'ES384'],
  ['rsa-pss-sha512', 'PS512'],
  ['rsa-v1_5-sha256', 'RS256'],
]);

/** Whether `signature` over `base` was made with the private half of `key`; a key that does not fit is false. */
export function isHttpSignature(
  algorithm: HttpSignatureAlgorithm | JwsAlgorithm,
  base: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  if (algorithm === 'ed25519') {
    return (
      key.asymmetricKeyType === 'ed25519' && signature.length === 64 && verify(null, base, key, signature)
    );
  }
  return isSignedWith(joseNameOf(algorithm), base, key, signature);
}

/**
 * Signs a signature base.
 *
 * @throws TypeError if the algorithm cannot use the key.
 */
export function httpSignature(
  algorithm: HttpSignatureAlgorithm | JwsAlgorithm,
  base: Uint8Array,
  key: KeyObject,
): Uint8Array {
  if (algorithm !== 'ed25519') return signWith(joseNameOf(algorithm), base, key);
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('ed25519 cannot use this key');
  return sign(null, base, key);
}

function joseNameOf(algorithm: Exclude<HttpSignatureAlgorithm, 'ed25519'> | JwsAlgorithm): JwsAlgorithm {
  return JOSE_NAMES.get(algorithm) ?? (algorithm as JwsAlgorithm);
}
