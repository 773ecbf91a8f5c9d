// SVIDs whose chain has an intermediate: what a peer sends is then more than a leaf.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { trustDomainOf } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { concat } from '../../sdk/x509-svid/der-writer.ts';
import { createSvidIssuer, issueX509Authority } from '../../sdk/x509-svid/template.ts';
import { parseX509Svid, type X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import type { TestAuthority } from '../support/authority.ts';

/** Issues an SVID by an intermediate of its own, which the authority signed. */
export async function issueThroughIntermediate(authority: TestAuthority, path: string): Promise<X509Svid> {
  const [middle, leaf] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const times = { notBefore: Date.now() - 10_000, notAfter: Date.now() + 600_000 };
  const id = authority.id(path);
  const intermediate = await issueX509Authority({
    ...times,
    trustDomain: trustDomainOf(id),
    publicKey: middle!.publicKey,
    issuer: { certificate: authority.certificate, publicKey: createPublicKey(authority.privateKey) },
    sign: (tbs) => sign('sha256', tbs, authority.privateKey),
  });
  const issuer = createSvidIssuer({
    certificate: parseCertificate(intermediate),
    publicKey: middle!.publicKey,
    sign: (tbs) => sign('sha256', tbs, middle!.privateKey),
  });
  const publicKeyInfo = leaf!.publicKey.export({ type: 'spki', format: 'der' });
  const certificate = await issuer({ ...times, id, publicKeyInfo });
  return parseX509Svid(
    concat([certificate, intermediate]),
    leaf!.privateKey.export({ type: 'pkcs8', format: 'der' }),
  );
}
