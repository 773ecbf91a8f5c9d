// TLS settings for tests, over the test authority and the real verifier.
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { TlsMaterial, TlsSettings } from '../transport/socket.ts';
import type { Issued } from './certificates.ts';

/** What an issued certificate presents. */
export function materialOf(issued: Issued): TlsMaterial {
  return { certificates: issued.chain, privateKey: issued.privateKey, notAfter: issued.notAfter };
}

/** Presents `own` and trusts the authority of `trustDomain`. */
export function tlsOf(own: Issued, authority: Issued, trustDomain = 'example.org'): TlsSettings {
  const material = materialOf(own);
  const bundles = x509BundleSet([parseX509Bundle(trustDomain, authority.certificate)]);
  return { material: () => material, verify: (chain) => verifyX509Svid(chain, bundles) };
}
