// JWT bundles: the keys that sign the JWT-SVIDs of one trust domain, and where a validator finds them.
import type { KeyObject } from 'node:crypto';
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts';
import { parseKeySet, serializeKeySet, type SkippedElement } from './key-set.ts';

/** The JWT authorities of one trust domain. */
export interface JwtBundle {
  readonly trustDomain: TrustDomain;
  /** Public keys (EC or RSA) by key ID. */
  readonly jwtAuthorities: ReadonlyMap<string, KeyObject>;
}

/** Where a validator looks up the keys of the trust domain of a token's subject. */
export interface JwtBundleSource {
  /** The bundle of a trust domain, or undefined: its JWT-SVIDs are then not trusted. */
  jwtBundle(trustDomain: TrustDomain): JwtBundle | undefined;
}

/**
 * Reads a JWT bundle in the form of the Workload API (6.2.2): a plain JWK Set whose elements have `kid` and no `use`.
 * An element whose `use` is there and not `jwt-svid` is skipped: it is a key of another profile that leaked in
 * (WAPI-45), and must not verify JWT-SVIDs.
 *
 * @throws SpiffeError `ERR_BUNDLE` or `ERR_TRUST_DOMAIN`.
 */
export function parseJwtBundle(
  trustDomain: string,
  document: string | Uint8Array,
  options: { readonly onSkipped?: (skipped: SkippedElement) => void } = {},
): JwtBundle {
  const name = parseTrustDomain(trustDomain);
  return { trustDomain: name, jwtAuthorities: parseKeySet(name, document, 'jwt-svid', options.onSkipped) };
}

/**
 * Writes a JWT bundle in the form of the Workload API: no `use`, since stock JWT libraries then find no key, and no
 * SPIFFE members (WAPI-46).
 */
export function serializeJwtBundle(bundle: JwtBundle): string {
  return serializeKeySet(bundle.jwtAuthorities);
}

/** A source over JWT bundles that do not change. */
export function jwtBundleSet(bundles: Iterable<JwtBundle>): JwtBundleSource {
  const byName = new Map<TrustDomain, JwtBundle>();
  for (const bundle of bundles) byName.set(bundle.trustDomain, bundle);
  return { jwtBundle: (trustDomain) => byName.get(trustDomain) };
}
