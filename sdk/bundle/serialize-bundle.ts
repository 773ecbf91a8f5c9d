// Writes the SPIFFE bundle format (Trust Domain and Bundle 4): what a publisher may publish, and nothing else.
import type { KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { base64Of } from '../json/base64.ts';
import { stringifyJson, type Writable } from '../json/stringify.ts';
import { publicKeyOf } from '../x509-svid/certificate.ts';
import { isSameKey, KeyUse } from './elements.ts';
import { publicJwkOf } from './jwk.ts';
import type { SpiffeBundle } from './spiffe-bundle.ts';

/**
 * Writes a bundle document. Equal bundles give equal text.
 *
 * @throws SpiffeError `ERR_BUNDLE` for what must not be published: an authority that is no signing certificate, a
 * private key, a key without an ID, one ID for keys of two profiles (WIT-SVID 6.1), a sequence or hint that is no
 * integer of 0 or more.
 */
export function serializeSpiffeBundle(bundle: SpiffeBundle): string {
  expectPublishable(bundle);
  return stringifyJson(bundleDocument(bundle));
}

/** Whether two bundles say the same, sequence and refresh hint included. */
export function isSameBundle(left: SpiffeBundle, right: SpiffeBundle): boolean {
  return (
    left.trustDomain === right.trustDomain &&
    stringifyJson(bundleDocument(left)) === stringifyJson(bundleDocument(right))
  );
}

/** The document as JSON, without the checks of a publisher. */
export function bundleDocument(bundle: SpiffeBundle): { readonly [name: string]: Writable | undefined } {
  return {
    keys: [
      ...bundle.x509Authorities.map((certificate) => ({
        use: KeyUse.x509,
        ...publicJwkOf(publicKeyOf(certificate)),
        x5c: [base64Of(certificate.der)],
      })),
      ...tokenKeys(KeyUse.jwt, bundle.jwtAuthorities),
      ...tokenKeys(KeyUse.wit, bundle.witAuthorities),
    ],
    spiffe_sequence: bundle.sequence,
    spiffe_refresh_hint: bundle.refreshHint,
  };
}

/** The publisher's checks of {@link serializeSpiffeBundle}. */
export function expectPublishable(bundle: SpiffeBundle): void {
  const refuse = (problem: string) =>
    new SpiffeError('ERR_BUNDLE', `the bundle of ${bundle.trustDomain} cannot be published: ${problem}`);
  if (bundle.x509Authorities.some(({ extensions }) => extensions.basicConstraints?.ca !== true)) {
    throw refuse('an X.509 authority is no signing certificate');
  }
  for (const [keyId, key] of [...bundle.jwtAuthorities, ...bundle.witAuthorities]) {
    if (keyId === '') throw refuse('a key has no key ID');
    if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
      throw refuse(`the key ${keyId} is neither EC nor RSA`);
    }
  }
  for (const [keyId] of bundle.witAuthorities) {
    if (bundle.jwtAuthorities.has(keyId))
      throw refuse(`the key ID ${keyId} stands for a JWT and for a WIT key`);
  }
  if (bundle.sequence !== undefined && bundle.sequence < 0n) throw refuse('the sequence is negative');
  if (
    bundle.refreshHint !== undefined &&
    !(Number.isSafeInteger(bundle.refreshHint) && bundle.refreshHint >= 0)
  ) {
    throw refuse('the refresh hint is no whole number of seconds');
  }
}

function tokenKeys(use: KeyUse, keys: ReadonlyMap<string, KeyObject>): Writable[] {
  return [...keys].map(([kid, key]) => ({ use, kid, ...publicJwkOf(key) }));
}

/**
 * Whether the content that validators use differs: authorities, not sequence and hint. A publisher must raise the
 * sequence exactly then (Trust Domain and Bundle 4.1.1).
 */
export function hasSameAuthorities(left: SpiffeBundle, right: SpiffeBundle): boolean {
  const sameKeys = (a: ReadonlyMap<string, KeyObject>, b: ReadonlyMap<string, KeyObject>) =>
    a.size === b.size &&
    [...a].every(([keyId, key]) => {
      const other = b.get(keyId);
      return other !== undefined && isSameKey(key, other);
    });
  const certificates = new Set(right.x509Authorities.map(({ der }) => base64Of(der)));
  return (
    left.x509Authorities.length === right.x509Authorities.length &&
    left.x509Authorities.every(({ der }) => certificates.has(base64Of(der))) &&
    sameKeys(left.jwtAuthorities, right.jwtAuthorities) &&
    sameKeys(left.witAuthorities, right.witAuthorities)
  );
}
