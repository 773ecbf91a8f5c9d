// A SPIFFE bundle: everything that one trust domain publishes about itself (Trust Domain and Bundle 4).
import type { KeyObject } from 'node:crypto';
import type { TrustDomain } from '../spiffe-id.ts';
import type { Certificate } from '../x509-svid/certificate.ts';
import type { JwtBundle, JwtBundleSource } from './jwt-bundle.ts';
import type { WitBundle, WitBundleSource } from './wit-bundle.ts';
import type { X509Bundle, X509BundleSource } from './x509-bundle.ts';

/** The authorities of a trust domain, by what they may sign. Empty collections mean: no SVID of that kind is valid. */
export interface SpiffeBundle {
  /** The document does not say it (Trust Domain and Bundle 3): whoever read the bundle did. */
  readonly trustDomain: TrustDomain;
  readonly x509Authorities: readonly Certificate[];
  /** Public keys by key ID. */
  readonly jwtAuthorities: ReadonlyMap<string, KeyObject>;
  /** Public keys by key ID; empty unless WIT-SVIDs are enabled (WIT-SVID is Incubating). */
  readonly witAuthorities: ReadonlyMap<string, KeyObject>;
  /** `spiffe_sequence`, of any size. */
  readonly sequence?: bigint;
  /** `spiffe_refresh_hint` in seconds, as published: zero and negative too, so whoever polls must clamp it. */
  readonly refreshHint?: number;
}

/** Switches for what the standards call Incubating. All are off by default. */
export interface Experimental {
  /** WIT-SVIDs (WIT-SVID.md at revision 665a28f). */
  readonly wit?: boolean;
}

/** A source of all three kinds of bundles. */
export interface SpiffeBundleSource extends X509BundleSource, JwtBundleSource, WitBundleSource {}

/** The X.509 part of a bundle. */
export function x509BundleOf(bundle: SpiffeBundle): X509Bundle {
  return { trustDomain: bundle.trustDomain, authorities: bundle.x509Authorities };
}

/** The JWT part of a bundle. */
export function jwtBundleOf(bundle: SpiffeBundle): JwtBundle {
  return { trustDomain: bundle.trustDomain, jwtAuthorities: bundle.jwtAuthorities };
}

/** The WIT part of a bundle. */
export function witBundleOf(bundle: SpiffeBundle): WitBundle {
  return { trustDomain: bundle.trustDomain, witAuthorities: bundle.witAuthorities };
}

/**
 * A source over bundles that do not change, one a trust domain: of two for one trust domain the later wins, and bundles
 * are never merged (Federation 4, FED-09).
 */
export function spiffeBundleSet(bundles: Iterable<SpiffeBundle>): SpiffeBundleSource {
  const parts = new Map(
    [...bundles].map((bundle) => [
      bundle.trustDomain,
      { x509: x509BundleOf(bundle), jwt: jwtBundleOf(bundle), wit: witBundleOf(bundle) },
    ]),
  );
  return {
    x509Bundle: (trustDomain) => parts.get(trustDomain)?.x509,
    jwtBundle: (trustDomain) => parts.get(trustDomain)?.jwt,
    witBundle: (trustDomain) => parts.get(trustDomain)?.wit,
  };
}
