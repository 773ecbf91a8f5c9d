// A real certificate authority for tests: real keys, real certificates, made in memory.
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { parseX509Bundle, x509BundleSet, type X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import { parseTrustDomain, spiffeIdOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { parseCertificate, type Certificate } from '../../sdk/x509-svid/certificate.ts';
import { createSvidIssuer, issueX509Authority, type X509SvidRequest } from '../../sdk/x509-svid/template.ts';
import { parseX509Svid, type X509Svid } from '../../sdk/x509-svid/x509-svid.ts';

export interface TestAuthority {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
  readonly bundles: X509BundleSource;
  /** Issues an SVID with a fresh key; `over` changes what goes into it. */
  issue(path: string, over?: Partial<X509SvidRequest>): Promise<X509Svid>;
  id(path: string): SpiffeId;
}

export async function testAuthority(
  trustDomainName = 'example.org',
  validity: { notBefore?: number; notAfter?: number } = {},
): Promise<TestAuthority> {
  const trustDomain = parseTrustDomain(trustDomainName);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signTbs = (tbs: Uint8Array) => sign('sha256', tbs, privateKey);
  const now = Date.now();
  const der = await issueX509Authority({
    trustDomain,
    publicKey,
    notBefore: validity.notBefore ?? now - 3_600_000,
    notAfter: validity.notAfter ?? now + 3_600_000,
    sign: signTbs,
  });
  const certificate = parseCertificate(der);
  const issuer = createSvidIssuer({ certificate, publicKey, sign: signTbs });
  const id = (path: string) => spiffeIdOf(trustDomain, path);
  return {
    certificate,
    privateKey,
    bundles: x509BundleSet([parseX509Bundle(trustDomain, der)]),
    id,
    issue: async (path, over = {}) => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const leaf = await issuer({
        id: id(path),
        publicKeyInfo: createPublicKey(pair.privateKey).export({ type: 'spki', format: 'der' }),
        notBefore: Date.now() - 10_000,
        notAfter: Date.now() + 600_000,
        ...over,
      });
      return parseX509Svid(leaf, pair.privateKey.export({ type: 'pkcs8', format: 'der' }));
    },
  };
}
