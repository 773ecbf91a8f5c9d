// X.509 authorities: a self-signed signing certificate each, proved by an SVID before anybody depends on it.
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import type { ManagedKey } from '../../daemon/key-manager/key-manager.ts';
import { x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { spiffeIdOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { hexOf, parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { createSvidIssuer, issueX509Authority, type X509Signer } from '../../sdk/x509-svid/template.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { KindRules } from './authority-slots.ts';

/** What signs certificates with one authority. */
export interface X509SigningAuthority extends X509Signer {
  /** Issues a leaf. */
  readonly issue: ReturnType<typeof createSvidIssuer>;
}

const BACKDATED = 10_000;

/** The rules of X.509 authorities. */
export const X509_RULES: KindRules<X509SigningAuthority> = {
  kind: 'x509',
  name: 'X.509 authority',
  keyPrefix: 'x509-CA-',
  async make({ trustDomain, key, now, notAfter }) {
    const der = await issueX509Authority({
      trustDomain,
      publicKey: key.publicKey,
      notBefore: now - BACKDATED,
      notAfter,
      sign: (tbs) => key.sign(tbs),
    });
    await prove(trustDomain, der, key, now);
    const certificate = parseCertificate(der);
    return {
      id: hexOf(certificate.extensions.subjectKeyIdentifier!),
      notAfter: certificate.notAfter,
      material: der,
    };
  },
  signer: ({ material }, key) => signerOf(material, key),
  published: ({ material }) => ({ x509Authorities: [{ certificate: material, tainted: false }] }),
};

function signerOf(der: Uint8Array, key: ManagedKey | undefined): X509SigningAuthority | undefined {
  const certificate = parseCertificate(der);
  const publicKeyInfo = key?.publicKey.export({ type: 'spki', format: 'der' });
  if (key === undefined || !Buffer.from(certificate.publicKeyInfo).equals(publicKeyInfo!)) return undefined;
  const signer: X509Signer = { certificate, publicKey: key.publicKey, sign: (tbs) => key.sign(tbs) };
  return { ...signer, issue: createSvidIssuer(signer) };
}

// A signing certificate that no validator accepts would be found out by every workload at once: find out first.
async function prove(trustDomain: TrustDomain, der: Uint8Array, key: ManagedKey, now: number): Promise<void> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const leaf = await signerOf(der, key)!.issue({
    id: spiffeIdOf(trustDomain, '/for/health/check/only'),
    publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
    notBefore: now - BACKDATED,
    notAfter: now + 60_000,
  });
  const authorities = [parseCertificate(der)];
  verifyX509Svid([leaf], x509BundleSet([{ trustDomain, authorities }]), { now });
}
