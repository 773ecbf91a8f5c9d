// WIT bundles: the keys that sign the WIT-SVIDs of one trust domain (Incubating), and where a validator finds them.
import type { KeyObject } from 'node:crypto';
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts';
import { parseKeySet, serializeKeySet, type SkippedElement } from './key-set.ts';

/** The WIT authorities of one trust domain. */
export interface WitBundle {
  readonly trustDomain: TrustDomain;
  /** Public keys (EC or RSA) by key ID. */
  readonly witAuthorities: ReadonlyMap<string, KeyObject>;
}

/** Where a validator looks up the keys of the trust domain of a token's subject. */
export interface WitBundleSource {
  /** The bundle of a trust domain, or undefined: its WIT-SVIDs are then not trusted. */
  witBundle(trustDomain: TrustDomain): WitBundle | undefined;
}

/**
 * Reads a WIT bundle in the form of the Workload API (7.2.2): a plain JWK Set whose elements have `kid` and no `use`.
 * An element whose `use` is there and not `wit-svid` is skipped.
 *
 * @throws SpiffeError `ERR_BUNDLE` or `ERR_TRUST_DOMAIN`.
 */
export function parseWitBundle(
  trustDomain: string,
  document: string | Uint8Array,
  options: { readonly onSkipped?: (skipped: SkippedElement) => void } = {},
): WitBundle {
  const name = parseTrustDomain(trustDomain);
  return { trustDomain: name, witAuthorities: parseKeySet(name, document, 'wit-svid', options.onSkipped) };
}

/** Writes a WIT bundle in the form of the Workload API. */
export function serializeWitBundle(bundle: WitBundle): string {
  return serializeKeySet(bundle.witAuthorities);
}

/** A source over WIT bundles that do not change. */
export function witBundleSet(bundles: Iterable<WitBundle>): WitBundleSource {
  const byName = new Map<TrustDomain, WitBundle>();
  for (const bundle of bundles) byName.set(bundle.trustDomain, bundle);
  return { witBundle: (trustDomain) => byName.get(trustDomain) };
}
