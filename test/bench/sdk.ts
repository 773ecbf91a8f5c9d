// `npm run bench:sdk`: what the library costs, beside what the bare cryptography under it costs in the same run. One line of
// JSON a figure; one core.
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { jwtBundleSet } from '../../sdk/bundle/jwt-bundle.ts';
import { createJwtSvidIssuer } from '../../sdk/jwt-svid/issue.ts';
import { localSigner } from '../../sdk/jwt-svid/signer.ts';
import { validateJwtSvid } from '../../sdk/jwt-svid/validate.ts';
import { parseSpiffeId, parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate, publicKeyOf } from '../../sdk/x509-svid/certificate.ts';
import { createSvidIssuer } from '../../sdk/x509-svid/template.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { testAuthority } from '../support/authority.ts';
import { absolute, compare, type Figure } from './measure.ts';

const authority = await testAuthority();
const svid = await authority.issue('/ns/shop/sa/orders', { dnsNames: ['orders.shop.test'] });
const leaf = parseCertificate(svid.certificates[0]!);
const key = publicKeyOf(authority.certificate);
const signTbs = (tbs: Uint8Array) => sign('sha256', tbs, authority.privateKey);

console.log(JSON.stringify({ runtime: `node ${process.version}`, arch: process.arch }));
for (const figure of await figures()) console.log(JSON.stringify(figure));

async function figures(): Promise<Figure[]> {
  return [await idParse(), await issue(), await parseAndVerify(), await jwtValidate()];
}

// A thousand IDs that differ, so that nothing is answered from the last one.
function idParse(): Promise<Figure> {
  const ids = Array.from({ length: 1_000 }, (_, index) => `spiffe://example.org/ns/shop/sa/orders-${index}`);
  const parseAll = () => {
    for (const id of ids) parseSpiffeId(id);
  };
  return absolute('SPIFFE ID parse', parseAll, 2_000_000, ids.length);
}

function issue(): Promise<Figure> {
  const issueSvid = createSvidIssuer({ certificate: authority.certificate, publicKey: key, sign: signTbs });
  const request = {
    id: svid.id,
    publicKeyInfo: leaf.publicKeyInfo,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    dnsNames: ['orders.shop.test'],
  };
  const raw = () => signTbs(leaf.tbs);
  return compare('X509-SVID issue', () => issueSvid(request), 'raw P-256 sign', raw, 0.6);
}

function parseAndVerify(): Promise<Figure> {
  const work = () => verifyX509Svid(svid.certificates, authority.bundles);
  const raw = () => verify('sha256', leaf.tbs, key, leaf.signature);
  return compare('X509-SVID parse and verify', work, 'raw P-256 verify', raw, 0.5);
}

async function jwtValidate(): Promise<Figure> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const trustDomain = parseTrustDomain('example.org');
  const bundles = jwtBundleSet([{ trustDomain, jwtAuthorities: new Map([['k', keys.publicKey]]) }]);
  const mint = createJwtSvidIssuer(localSigner('k', keys.privateKey));
  const token = await mint({ id: svid.id, audience: ['a'], expiresAt: Date.now() + 3_600_000 });
  const data = new TextEncoder().encode(token.slice(0, token.lastIndexOf('.')));
  const signature = sign('sha256', data, { key: keys.privateKey, dsaEncoding: 'ieee-p1363' });
  const raw = () => verify('sha256', data, { key: keys.publicKey, dsaEncoding: 'ieee-p1363' }, signature);
  const work = () => validateJwtSvid(token, bundles, { audience: 'a' });
  return compare('JWT-SVID validate', work, 'raw P-256 verify', raw, 0.5);
}
