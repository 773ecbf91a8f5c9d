// X.509 bundles: the authorities of one trust domain, and where a validator finds them.
import { SpiffeError } from '../error.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts';
import { parseCertificates, type Certificate } from '../x509-svid/certificate.ts';

/** The CA certificates of one trust domain. */
export interface X509Bundle {
  readonly trustDomain: TrustDomain;
  readonly authorities: readonly Certificate[];
}

/** Where a validator looks up the bundle of a peer's trust domain. */
export interface X509BundleSource {
  /** The bundle of a trust domain, or undefined: its SVIDs are then not trusted. */
  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined;
}

/**
 * Reads a bundle from concatenated DER certificates (the wire form of the Workload API).
 *
 * @throws SpiffeError `ERR_BUNDLE`.
 */
export function parseX509Bundle(trustDomain: string, der: Uint8Array): X509Bundle {
  const name = parseTrustDomain(trustDomain);
  try {
    return { trustDomain: name, authorities: parseCertificates(der) };
  } catch (cause) {
    throw new SpiffeError('ERR_BUNDLE', `bundle of ${name}: ${(cause as Error).message}`, { cause });
  }
}

/** A source over bundles that do not change. */
export function x509BundleSet(bundles: Iterable<X509Bundle>): X509BundleSource {
  const byName = new Map<TrustDomain, X509Bundle>();
  for (const bundle of bundles) byName.set(bundle.trustDomain, bundle);
  return { x509Bundle: (trustDomain) => byName.get(trustDomain) };
}
