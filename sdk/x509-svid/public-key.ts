// Public keys that an SVID may carry: EC P-256, P-384, P-521; RSA 2048 to 8192 bits; Ed25519.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { SpiffeError, type SpiffeErrorCode } from '../error.ts';

const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const MIN_RSA_BITS = 2048;
// A peer chooses its key: verifying with a giant modulus or exponent is how it would spend our time.
const MAX_RSA_BITS = 8192;
const MAX_SPKI_BYTES = 1200;

/**
 * Reads a SubjectPublicKeyInfo (DER).
 *
 * @throws SpiffeError with `code` if it is no key, or one of a kind or size that is not accepted.
 */
export function readPublicKey(spki: Uint8Array, code: SpiffeErrorCode = 'ERR_CERTIFICATE'): KeyObject {
  if (spki.length > MAX_SPKI_BYTES)
    throw new SpiffeError(code, `the public key is larger than ${MAX_SPKI_BYTES} bytes`);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new SpiffeError(code, 'the public key cannot be read', { cause });
  }
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ec':
      if (CURVES.has(details.namedCurve ?? '')) return key;
      throw new SpiffeError(
        code,
        `the public key is on the curve ${details.namedCurve}; use P-256, P-384 or P-521`,
      );
    case 'rsa': {
      const bits = details.modulusLength ?? 0;
      const exponent = details.publicExponent ?? 0n;
      // An exponent of 1 makes every padded message its own signature; an even one is no RSA.
      if (exponent < 3n || exponent % 2n === 0n || exponent >= 1n << 64n) {
        throw new SpiffeError(code, 'the exponent of the RSA key is not an odd number of 3 to 64 bits');
      }
      if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
        throw new SpiffeError(
          code,
          `the RSA key has ${bits} bits; ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are accepted`,
        );
      }
      return key;
    }
    case 'ed25519':
      return key;
    default:
      throw new SpiffeError(code, `a public key of type ${key.asymmetricKeyType} is not accepted`);
  }
}
