// The elements of a bundle's `keys`, judged one by one: a bad element is skipped and reported, the rest is kept
// (Trust Domain and Bundle 4.2, X509-SVID 6.1, JWT-SVID 5, WIT-SVID 6).
import type { KeyObject } from 'node:crypto';
import { messageOf, SpiffeError } from '../error.ts';
import { decodeBase64 } from '../json/base64.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json/parse.ts';
import { parseCertificate, publicKeyOf, type Certificate } from '../x509-svid/certificate.ts';
import { readPublicJwk } from './jwk.ts';

/** What the values of `use` mean. They are case-sensitive. */
export const KeyUse = { x509: 'x509-svid', jwt: 'jwt-svid', wit: 'wit-svid' } as const;

/** One of the values of `use`. */
export type KeyUse = (typeof KeyUse)[keyof typeof KeyUse];

/** An element that was left out of a bundle, for logs. */
export interface SkippedElement {
  /** Its place in `keys`, from 0. */
  readonly index: number;
  readonly reason: string;
}

/** The most elements that are read; each costs a key to parse. */
export const MAX_ELEMENTS = 1024;
const MAX_KEY_ID_LENGTH = 1024;

/**
 * Calls `read` for each element; what it throws becomes a report to `onSkipped`.
 *
 * @throws SpiffeError `ERR_BUNDLE` if `keys` is no array, or has more than {@link MAX_ELEMENTS} elements.
 */
export function forEachElement(
  keys: JsonValue | undefined,
  read: (element: JsonObject, index: number) => void,
  onSkipped: (skipped: SkippedElement) => void = () => {},
): void {
  if (!Array.isArray(keys)) throw new SpiffeError('ERR_BUNDLE', 'the member keys is missing or no array');
  if (keys.length > MAX_ELEMENTS) throw new SpiffeError('ERR_BUNDLE', `more than ${MAX_ELEMENTS} keys`);
  for (const [index, element] of (keys as readonly JsonValue[]).entries()) {
    try {
      if (!isJsonObject(element)) throw new SpiffeError('ERR_BUNDLE', 'the element is no object');
      read(element, index);
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
      onSkipped({ index, reason: messageOf(error) });
    }
  }
}

/**
 * The CA certificate of an `x509-svid` element: the first value of `x5c`; the others and `kid` are ignored
 * (X509-SVID 6.1). Its key must be the one that the JWK describes.
 *
 * @throws SpiffeError if the element must be skipped.
 */
export function readX509Element(element: JsonObject): Certificate {
  const { x5c } = element;
  const [first] = Array.isArray(x5c) ? (x5c as readonly JsonValue[]) : [];
  if (typeof first !== 'string') throw new SpiffeError('ERR_BUNDLE', 'x5c is missing, empty or no text');
  const der = decodeBase64(first);
  if (der === undefined) throw new SpiffeError('ERR_BUNDLE', 'x5c is not standard base64');
  const key = readPublicJwk(element);
  const certificate = parseCertificate(der);
  if (certificate.extensions.basicConstraints?.ca !== true) {
    throw new SpiffeError('ERR_BUNDLE', 'the certificate is not a signing certificate');
  }
  if (!isSameKey(publicKeyOf(certificate), key)) {
    throw new SpiffeError('ERR_BUNDLE', "the JWK is not the key of its own certificate's");
  }
  return certificate;
}

/**
 * The key ID and key of a `jwt-svid` or `wit-svid` element. `kid` must be set, and the key must be one that an allowed
 * algorithm can use: EC or RSA (JWT-SVID 2.1).
 *
 * @throws SpiffeError if the element must be skipped.
 */
export function readTokenKeyElement(element: JsonObject): {
  readonly keyId: string;
  readonly key: KeyObject;
} {
  const { kid } = element;
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KEY_ID_LENGTH) {
    throw new SpiffeError('ERR_BUNDLE', 'the key ID (kid) is missing, empty or too long');
  }
  const key = readPublicJwk(element);
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw new SpiffeError('ERR_BUNDLE', `no allowed algorithm uses a key of type ${key.asymmetricKeyType}`);
  }
  return { keyId: kid, key };
}

/** Keys by key ID, where one ID with two keys is an ambiguity that drops both. */
export class KeyCollector {
  readonly #keys = new Map<string, KeyObject>();
  readonly #ambiguous = new Set<string>();

  /** @throws SpiffeError `ERR_BUNDLE` if the ID stands for another key already. */
  add(keyId: string, key: KeyObject): void {
    const known = this.#keys.get(keyId);
    if (known !== undefined && isSameKey(known, key)) return;
    if (known === undefined && !this.#ambiguous.has(keyId)) {
      this.#keys.set(keyId, key);
      return;
    }
    this.#ambiguous.add(keyId);
    this.#keys.delete(keyId);
    throw new SpiffeError('ERR_BUNDLE', 'the key ID stands for two keys; both are left out');
  }

  get keys(): ReadonlyMap<string, KeyObject> {
    return this.#keys;
  }
}

/** Whether two public keys are one. */
export function isSameKey(left: KeyObject, right: KeyObject): boolean {
  return left.export({ type: 'spki', format: 'der' }).equals(right.export({ type: 'spki', format: 'der' }));
}
