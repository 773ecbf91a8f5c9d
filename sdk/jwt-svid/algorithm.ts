// The nine signature algorithms of JWT- and WIT-SVIDs (JWT-SVID 2.1, RFC 7518 3), each bound to one kind of key.
// Verification is node:crypto and not jose: it is synchronous (no trip through a promise for 60 microseconds of work),
// it takes the key objects that a bundle holds as they are, and there is no default to forget. jose judges the tests.
import { constants, sign, verify, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { DerReader, Tag } from '../x509-svid/der-reader.ts';

/** A value of `alg` that JWT- and WIT-SVIDs may have. */
export type JwsAlgorithm =
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'PS256'
  | 'PS384'
  | 'PS512';

interface Algorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** The curve of an ECDSA algorithm; RSA if undefined. */
  readonly curve?: string;
  /** Bytes of an ECDSA signature in the form of RFC 7518 3.4. */
  readonly length?: number;
  /** RSASSA-PSS, and not PKCS #1 v1.5. */
  readonly pss?: boolean;
}

// A Map, so that no name of Object.prototype is an algorithm.
const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map<JwsAlgorithm, Algorithm>([
  ['ES256', { hash: 'sha256', curve: 'prime256v1', length: 64 }],
  ['ES384', { hash: 'sha384', curve: 'secp384r1', length: 96 }],
  ['ES512', { hash: 'sha512', curve: 'secp521r1', length: 132 }],
  ['RS256', { hash: 'sha256' }],
  ['RS384', { hash: 'sha384' }],
  ['RS512', { hash: 'sha512' }],
  ['PS256', { hash: 'sha256', pss: true }],
  ['PS384', { hash: 'sha384', pss: true }],
  ['PS512', { hash: 'sha512', pss: true }],
]);

/** RFC 7518 3.3 and 3.5. */
export const MIN_RSA_BITS = 2048;

/** Whether a value is one of the nine algorithms; the comparison is exact. */
export function isJwsAlgorithm(value: unknown): value is JwsAlgorithm {
  return typeof value === 'string' && ALGORITHMS.has(value);
}

/** What of a key decides which algorithms may use it; asking the runtime costs more than a look into a map. */
const keyKinds = new WeakMap<KeyObject, string>();

function kindOf(key: KeyObject): string {
  let kind = keyKinds.get(key);
  if (kind === undefined) {
    const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
    if (key.asymmetricKeyType === 'ec') kind = namedCurve ?? '';
    else kind = key.asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS ? 'rsa' : '';
    keyKinds.set(key, kind);
  }
  return kind;
}

/** Whether an algorithm may use a key: its type, its curve (RFC 7518 3.4) and, for RSA, at least 2048 bits. */
export function algorithmFits(algorithm: JwsAlgorithm, key: KeyObject): boolean {
  const { curve = 'rsa' } = ALGORITHMS.get(algorithm)!;
  return kindOf(key) === curve;
}

/**
 * The algorithm that a key uses where nothing else is said: ES256, ES384 or ES512 by curve, RS256 for RSA.
 *
 * @throws TypeError for a key that none of the nine algorithms can use.
 */
export function algorithmOf(key: KeyObject): JwsAlgorithm {
  const kind = kindOf(key);
  if (kind === 'rsa') return 'RS256';
  for (const [name, { curve }] of ALGORITHMS) if (curve === kind) return name as JwsAlgorithm;
  throw new TypeError(`no JWT-SVID algorithm uses a key of type ${key.asymmetricKeyType}`);
}

/** Whether `signature` over `data` was made by `algorithm` with the private half of `key`. A key that does not fit is false. */
export function isSignedWith(
  algorithm: JwsAlgorithm,
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  const { hash, length, pss } = ALGORITHMS.get(algorithm)!;
  if (!algorithmFits(algorithm, key)) return false;
  if (length !== undefined) {
    return signature.length === length && verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  }
  return verify(hash, data, pss === true ? { key, ...PSS } : key, signature);
}

/**
 * Signs with a private key of this process, in the form of JOSE.
 *
 * @throws TypeError if the algorithm cannot use the key.
 */
export function signWith(algorithm: JwsAlgorithm, data: Uint8Array, key: KeyObject): Uint8Array {
  const { hash, length, pss } = ALGORITHMS.get(algorithm)!;
  if (!algorithmFits(algorithm, key)) throw new TypeError(`${algorithm} cannot use this key`);
  if (length !== undefined) return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  return sign(hash, data, pss === true ? { key, ...PSS } : key);
}

/** How many bytes a signature has: exactly, for ECDSA; RSA signatures have at least 256. */
export function hasSignatureForm(algorithm: JwsAlgorithm, signature: Uint8Array): boolean {
  const { length } = ALGORITHMS.get(algorithm)!;
  return length === undefined ? signature.length >= MIN_RSA_BITS / 8 : signature.length === length;
}

// RFC 7518 3.5: the salt is as long as the hash.
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

/**
 * Turns an ECDSA signature from DER, as key management services give it, into the form of JOSE (RFC 7518 3.4).
 *
 * @throws SpiffeError `ERR_DER` if it is no DER signature of that size; `TypeError` for an RSA algorithm.
 */
export function joseSignatureOf(algorithm: JwsAlgorithm, der: Uint8Array): Uint8Array {
  const { length } = ALGORITHMS.get(algorithm)!;
  if (length === undefined) throw new TypeError(`${algorithm} signatures have one form`);
  const reader = DerReader.document(der, Tag.sequence);
  const signature = new Uint8Array(length);
  for (const end of [length / 2, length]) {
    const integer = reader.readInteger();
    const digits = integer[0] === 0 ? integer.subarray(1) : integer;
    if (digits.length > length / 2 || (integer[0]! & 0x80) !== 0) {
      throw new SpiffeError('ERR_DER', `the ECDSA signature is not one of ${algorithm}`);
    }
    signature.set(digits, end - digits.length);
  }
  reader.expectEnd();
  return signature;
}
