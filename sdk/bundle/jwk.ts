// One public key as a JWK (RFC 7517, RFC 7518 6, RFC 8037 2), read and written with the members that the key needs and
// no others. Private and symmetric keys are refused: none has a place in a bundle or a token.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { decodeBase64url } from '../json/base64.ts';
import type { JsonObject } from '../json/parse.ts';
import { readPublicKey } from '../x509-svid/public-key.ts';

/** The members of a public JWK that describe the key itself. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: string; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string }
  | { readonly kty: 'OKP'; readonly crv: string; readonly x: string };

/** The key types and, for each, the members that make the key. */
const KEY_MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['EC', ['crv', 'x', 'y']],
  ['RSA', ['n', 'e']],
  ['OKP', ['crv', 'x']],
]);
// RFC 7518 6.2.2, 6.3.2, 6.4.1: any of these makes the key private or symmetric.
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
// Twice what an RSA modulus of 8192 bits takes: decoding stays cheap for hostile members.
const MAX_MEMBER_LENGTH = 4096;

/**
 * Reads the public key of a JWK: EC on P-256, P-384 or P-521, RSA of 2048 to 8192 bits, or Ed25519. Members that do not
 * describe the key (`use`, `kid`, `alg`, ...) are left to the caller. With a cache, a key that was read before costs no
 * parsing.
 *
 * @throws SpiffeError `ERR_BUNDLE` if it is no such key, or holds private parts.
 */
export function readPublicJwk(jwk: JsonObject, cache?: KeyCache): KeyObject {
  const { kty } = jwk;
  const members = typeof kty === 'string' ? KEY_MEMBERS.get(kty) : undefined;
  if (members === undefined) throw keyError('the key type (kty) is missing or not known');
  if (SECRET_MEMBERS.some((name) => jwk[name] !== undefined)) throw keyError('the key has private parts');
  const plain: Record<string, string> = { kty: kty as string };
  for (const name of members) plain[name] = keyMember(jwk, name);
  if (cache === undefined) return keyOfMembers(plain);
  // All members but the curve are base64url, so that no two keys share a name.
  const name = Object.values(plain).join(' ');
  return cache.get(name) ?? cache.put(name, keyOfMembers(plain));
}

/** Keys that were read, at most `max` (default 1,024), the oldest dropped first. */
export class KeyCache {
  readonly #keys = new Map<string, KeyObject>();
  readonly #max: number;

  constructor(max = 1_024) {
    this.#max = max;
  }

  get(name: string): KeyObject | undefined {
    return this.#keys.get(name);
  }

  put(name: string, key: KeyObject): KeyObject {
    this.#keys.set(name, key);
    if (this.#keys.size > this.#max) this.#keys.delete(this.#keys.keys().next().value!);
    return key;
  }
}

function keyOfMembers(members: Readonly<Record<string, string>>): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: { ...members }, format: 'jwk' });
  } catch (cause) {
    throw keyError('the key cannot be read', cause);
  }
  // The same rules as for the key of a certificate: kind, curve, size.
  return readPublicKey(key.export({ type: 'spki', format: 'der' }), 'ERR_BUNDLE');
}

/**
 * The JWK of a public key.
 *
 * @throws SpiffeError `ERR_BUNDLE` for a private key or a key type that bundles do not hold.
 */
export function publicJwkOf(key: KeyObject): PublicJwk {
  if (key.type !== 'public') throw keyError(`a ${key.type} key must not be published`);
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  if (kty === 'EC' && crv !== undefined && x !== undefined && y !== undefined) return { kty, crv, x, y };
  if (kty === 'RSA' && n !== undefined && e !== undefined) return { kty, n, e };
  if (kty === 'OKP' && crv !== undefined && x !== undefined) return { kty, crv, x };
  throw keyError(`a key of type ${key.asymmetricKeyType} has no place in a bundle`);
}

function keyMember(jwk: JsonObject, name: string): string {
  const value = jwk[name];
  if (typeof value !== 'string' || value === '' || value.length > MAX_MEMBER_LENGTH) {
    throw keyError(`the key member ${name} is missing or no text`);
  }
  if (name !== 'crv' && decodeBase64url(value) === undefined) {
    throw keyError(`the key member ${name} is not base64url`);
  }
  return value;
}

function keyError(problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_BUNDLE', `JWK: ${problem}`, { cause });
}
