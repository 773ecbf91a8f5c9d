// SVID core (SPIFFE-ID 3 and 4) and X509-SVID: every requirement on issuers and validators. What publishers and consumers
// of bundles must do is in bundle.test.ts.
import { Buffer } from 'node:buffer';
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { parseTrustDomain, trustDomainOf } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { createCsr, readCsr } from '../../sdk/x509-svid/csr.ts';
import { createSvidIssuer, issueX509Authority } from '../../sdk/x509-svid/template.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { testAuthority, type TestAuthority } from '../support/authority.ts';
import {
  authority,
  bundlesOf,
  codeOf,
  leafOf,
  loadVerdict,
  nameConstraints,
  verdict,
  x509,
  type Made,
  type Variation,
} from './x509-certificates.ts';

const { digitalSignature, keyEncipherment, keyAgreement, keyCertSign, cRLSign } = x509.KeyUsageFlags;
const NOT_AN_SVID = 'ERR_SVID_NOT_AN_SVID';
const UNTRUSTED = 'ERR_SVID_UNTRUSTED';

let ours: TestAuthority;
let svid: X509Svid;
let leaf: x509.X509Certificate; // What we issue, as another implementation reads it.
let issuer: x509.X509Certificate;
let root: Made;

beforeAll(async () => {
  ours = await testAuthority();
  svid = await ours.issue('/web', { dnsNames: ['web.example.org'] });
  leaf = new x509.X509Certificate(svid.certificates[0]!);
  issuer = new x509.X509Certificate(ours.certificate.der);
  root = await authority();
});

const namesOf = (certificate: x509.X509Certificate) =>
  certificate.getExtension(x509.SubjectAlternativeNameExtension)!.names.toJSON();
const usagesOf = (certificate: x509.X509Certificate) =>
  certificate.getExtension(x509.KeyUsagesExtension)!.usages;
const verify = async (over: Variation) => verdict([await leafOf(root, over)], bundlesOf([root]));
const signedBy = (key: KeyObject) => (tbs: Uint8Array) => sign('sha256', tbs, key);
const times = () => ({ notBefore: Date.now() - 60_000, notAfter: Date.now() + 600_000 });

describe('SVIDs', () => {
  it('SVID-01: the authority of a trust domain has an SVID of its own', () =>
    expect(namesOf(issuer)).toEqual([{ type: 'url', value: 'spiffe://example.org' }]));
  it('SVID-02: its ID is the trust domain, without a path', () => {
    expect(ours.certificate.extensions.subjectAltName?.uris).toEqual(['spiffe://example.org']);
  });
  it('SVID-03: ID and public key lie under the signature', () => {
    const der = svid.certificates[0]!;
    const parsed = parseCertificate(der);
    const idAt = Buffer.from(der).indexOf('spiffe://example.org/web') + 'spiffe://example.org/'.length;
    const keyAt = parsed.publicKeyInfo.byteOffset - der.byteOffset + parsed.publicKeyInfo.length - 1;
    for (const at of [idAt, keyAt]) {
      const changed = der.slice();
      changed[at]! ^= 1;
      expect(codeOf(() => verifyX509Svid([changed], ours.bundles))).toBe(UNTRUSTED);
    }
  });
  it('SVID-04: another document is no SVID', () => {
    for (const text of ['eyJhbGciOiJub25lIn0.e30.', '<Assertion/>', 'spiffe://example.org/web'])
      expect(codeOf(() => verifyX509Svid([new TextEncoder().encode(text)], ours.bundles))).toBe('ERR_DER');
  });
  it('SVID-05: an authority vouches for its own trust domain only', async () => {
    const other = await authority({ uris: ['spiffe://other.org'] });
    const stray = await leafOf(root, { uris: ['spiffe://other.org/web'] });
    const bundles = x509BundleSet([
      parseX509Bundle('example.org', root.der),
      parseX509Bundle('other.org', other.der),
    ]);
    expect(verdict([stray], bundles)).toBe(UNTRUSTED);
  });
  it('SVID-06: an authority signed by a foreign one counts where the own bundle holds it, and nowhere else', async () => {
    const foreign = await authority({ uris: ['spiffe://other.org'] });
    const chained = await authority({ issuer: foreign });
    const below = await leafOf(chained);
    expect(verdict([below], bundlesOf([chained]))).toBe('accepted');
    expect(verdict([below, chained], bundlesOf([foreign], 'other.org'))).toBe('ERR_SVID_NO_BUNDLE');
  });
  it('SVID-07: the same name and path in two trust domains are two identities, and no other data is taken over', async () => {
    const other = await testAuthority('other.org');
    const theirs = await other.issue('/web', { dnsNames: ['web.example.org'] });
    const [a, b] = [
      verifyX509Svid(svid.certificates, ours.bundles),
      verifyX509Svid(theirs.certificates, other.bundles),
    ];
    expect(a.id).not.toBe(b.id);
    expect(trustDomainOf(b.id)).toBe('other.org');
    expect(Object.keys(b).sort()).toEqual([
      'authority',
      'certificate',
      'id',
      'notAfter',
      'notBefore',
      'pathNotAfter',
      'serial',
    ]);
  });
});

describe('what we issue', () => {
  it('X509-01: exactly one URI name, the SPIFFE ID', () =>
    expect(namesOf(leaf).filter(({ type }) => type === 'url')).toEqual([{ type: 'url', value: svid.id }]));
  it('X509-04: DNS names beside it', () => {
    expect(namesOf(leaf)).toContainEqual({ type: 'dns', value: 'web.example.org' });
    expect(verifyX509Svid(svid.certificates, ours.bundles).id).toBe(svid.id);
  });
  it('X509-05: no leaf for an ID without a path', () =>
    expect(ours.issue('')).rejects.toMatchObject({ code: 'ERR_SPIFFE_ID' }));
  it('X509-06: a signing certificate carries an ID, and one without is accepted', async () => {
    expect(namesOf(issuer)).toHaveLength(1);
    const unnamed = await authority({ uris: [] });
    expect(verdict([await leafOf(unnamed)], bundlesOf([unnamed]))).toBe('accepted');
  });
  it('X509-07: its ID cannot have a path', () => {
    expect(namesOf(issuer)[0]!.value).toBe('spiffe://example.org');
    expect(codeOf(() => parseTrustDomain('spiffe://example.org/ca'))).toBe('ERR_TRUST_DOMAIN');
  });
  it('X509-08: and is that of its leaves; one of another trust domain is accepted', async () => {
    expect(String(trustDomainOf(svid.id))).toBe(
      ours.certificate.extensions.subjectAltName!.uris[0]!.slice(9),
    );
    const elsewhere = await authority({ uris: ['spiffe://other.org'] });
    expect(verdict([await leafOf(elsewhere)], bundlesOf([elsewhere]))).toBe('accepted');
  });
  it('X509-09: an intermediate that we issue leads to the root, and says who signed it', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const der = await issueX509Authority({
      trustDomain: parseTrustDomain('example.org'),
      publicKey: pair.publicKey,
      ...times(),
      sign: signedBy(ours.privateKey),
      issuer: { certificate: ours.certificate, publicKey: createPublicKey(ours.privateKey) },
      pathLength: 0,
    });
    const intermediate = parseCertificate(der);
    expect(intermediate.extensions.basicConstraints).toMatchObject({ ca: true, pathLength: 0 });
    expect(intermediate.extensions.authorityKeyIdentifier).toEqual(
      ours.certificate.extensions.subjectKeyIdentifier,
    );
    expect(await new x509.X509Certificate(der).verify({ publicKey: issuer.publicKey })).toBe(true);
  });
  it('X509-11: the subject is not empty; where one is asked for that is, the names are critical', async () => {
    expect(leaf.subject).not.toBe('');
    expect(issuer.subject).not.toBe('');
    const empty = await ours.issue('/web', { subject: Uint8Array.of(0x30, 0) });
    const certificate = new x509.X509Certificate(empty.certificates[0]!);
    expect(certificate.subject).toBe('');
    expect(certificate.getExtension(x509.SubjectAlternativeNameExtension)).toMatchObject({ critical: true });
    expect(verifyX509Svid(empty.certificates, ours.bundles).id).toBe(svid.id);
  });
  it('X509-12: cA is there and critical: true on authorities, false on leaves', () => {
    const of = (certificate: x509.X509Certificate) =>
      certificate.getExtension(x509.BasicConstraintsExtension);
    expect(of(issuer)).toMatchObject({ ca: true, critical: true });
    expect(of(leaf)).toMatchObject({ ca: false, critical: true });
  });
  it('X509-15: key usage is there and critical on both', () => {
    for (const certificate of [leaf, issuer])
      expect(certificate.getExtension(x509.KeyUsagesExtension)).toMatchObject({ critical: true });
  });
  it('X509-16: authorities may sign certificates and revocation lists, nothing else', () =>
    expect(usagesOf(issuer)).toBe(keyCertSign | cRLSign));
  it('X509-17: leaves may sign', () =>
    expect(usagesOf(leaf)).toBe(digitalSignature | keyEncipherment | keyAgreement));
  it('X509-18: nothing that a request asks for gives a leaf the usages of an authority', async () => {
    const csr = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=x',
      keys: root.keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
        new x509.BasicConstraintsExtension(true, 2, true),
      ],
    });
    const { publicKeyInfo } = readCsr(new Uint8Array(csr.rawData));
    const issue = createSvidIssuer({
      certificate: ours.certificate,
      publicKey: createPublicKey(ours.privateKey),
      sign: signedBy(ours.privateKey),
    });
    const issued = new x509.X509Certificate(await issue({ id: svid.id, publicKeyInfo, ...times() }));
    expect(new Uint8Array(issued.publicKey.rawData)).toEqual(publicKeyInfo);
    expect(usagesOf(issued) & (keyCertSign | cRLSign)).toBe(0);
    expect(issued.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: false });
  });
  it('X509-19: leaves are for servers and for clients', () =>
    expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)!.usages).toEqual([
      '1.3.6.1.5.5.7.3.1',
      '1.3.6.1.5.5.7.3.2',
    ]));
  it('X509-09: a request of ours names the ID and nothing more', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { extensions } = readCsr(createCsr(privateKey, svid.id));
    expect(extensions.subjectAltName?.uris).toEqual([svid.id]);
    expect(extensions.keyUsage).toBeUndefined();
  });
});

describe('what we accept', () => {
  it('X509-02: more than one URI name is refused', async () => {
    for (const other of ['spiffe://example.org/b', 'https://example.org/'])
      expect(await verify({ uris: ['spiffe://example.org/a', other] })).toBe(NOT_AN_SVID);
  });
  it('X509-03: none is refused', async () => {
    expect(await verify({ uris: [] })).toBe(NOT_AN_SVID);
    expect(await verify({ uris: [], dnsNames: ['web.example.org'] })).toBe(NOT_AN_SVID);
  });
  it('X509-09: root, intermediate, leaf', async () => {
    const intermediate = await authority({ issuer: root });
    const below = await leafOf(intermediate);
    expect(verdict([below, intermediate], bundlesOf([root]))).toBe('accepted');
    expect(verdict([below], bundlesOf([root]))).toBe(UNTRUSTED);
    expect(verdict([below, intermediate, root], bundlesOf([root]))).toBe('accepted');
  });
  it('X509-10: a signing certificate authenticates nobody', async () => {
    for (const uris of [['spiffe://example.org'], ['spiffe://example.org/ca'], []]) {
      const ca = await authority({ uris });
      expect(verdict([ca], bundlesOf([ca]))).toBe(NOT_AN_SVID);
      expect(await loadVerdict([ca])).toBe(NOT_AN_SVID);
    }
  });
  it('X509-13: path lengths count the intermediates below', async () => {
    for (const [pathLength, expected] of [
      [0, UNTRUSTED],
      [1, 'accepted'],
    ] as const) {
      const short = await authority({ pathLength });
      const between = await authority({ issuer: short });
      expect(verdict([await leafOf(between), between], bundlesOf([short]))).toBe(expected);
      expect(verdict([await leafOf(short)], bundlesOf([short]))).toBe('accepted');
    }
  });
  it('X509-14: URI constraints bind leaves and intermediates, at every level', async () => {
    const [uri, dns, directory] = [0x86, 0x82, 0xa4];
    const judge = async (constraints: x509.Extension, leafNames: Variation = {}, between?: Variation) => {
      const top = await authority({ extra: [constraints] });
      const middle = await authority({ issuer: top, ...between });
      return verdict([await leafOf(middle, leafNames), middle], bundlesOf([top]));
    };
    expect(await judge(nameConstraints([[uri, 'example.org']]))).toBe('accepted');
    expect(await judge(nameConstraints([[uri, 'other.org']]))).toBe(UNTRUSTED);
    expect(await judge(nameConstraints([], [[uri, 'example.org']]))).toBe(UNTRUSTED);
    // An intermediate whose own name is not permitted.
    expect(await judge(nameConstraints([[uri, 'example.org']]), {}, { uris: ['spiffe://other.org'] })).toBe(
      UNTRUSTED,
    );
    // Several constraints: all must hold.
    expect(
      await judge(
        nameConstraints([
          [uri, 'example.org'],
          [dns, 'a.org'],
        ]),
        { dnsNames: ['b.org'] },
      ),
    ).toBe(UNTRUSTED);
    // A form that is not judged refuses whatever has a name of that form; here, a subject.
    expect(await judge(nameConstraints([[directory, '']]))).toBe(UNTRUSTED);
    // Constraints that say nothing are forbidden, so nothing passes.
    expect(await judge(nameConstraints([]))).toBe(UNTRUSTED);
  });
  it('X509-20: extended usages of an authority are not nested', async () => {
    const mail = await authority({ purposes: ['1.3.6.1.5.5.7.3.4'] });
    expect(verdict([await leafOf(mail, { purposes: ['1.3.6.1.5.5.7.3.1'] })], bundlesOf([mail]))).toBe(
      'accepted',
    );
  });
  it('X509-21: RFC 5280 path validation', async () => {
    expect(await verify({ notBefore: -9_000, notAfter: -5_000 })).toBe('ERR_SVID_EXPIRED');
    expect(await verify({ notBefore: 60_000 })).toBe('ERR_SVID_NOT_YET_VALID');
    const unknown = () => [new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0]))];
    expect(await verify({ extra: unknown() })).toBe(NOT_AN_SVID);
    for (const over of [
      { keyUsage: cRLSign },
      { ca: false },
      { ca: null },
      { notBefore: -9_000, notAfter: -5_000 },
      { notBefore: 60_000 },
      { extra: unknown() },
    ]) {
      const bad = await authority(over);
      expect(verdict([await leafOf(bad)], bundlesOf([bad]))).toBe(UNTRUSTED);
    }
    // The right name and the wrong key.
    const subject = 'O=twin';
    const [real, twin] = [await authority({ subject }), await authority({ subject })];
    expect(verdict([await leafOf(twin)], bundlesOf([real]))).toBe(UNTRUSTED);
    expect(verdict([await leafOf(twin)], bundlesOf([real, twin]))).toBe('accepted');
  });
  it('X509-22: a leaf with cA is refused', async () => expect(await verify({ ca: true })).toBe(NOT_AN_SVID));
  it('X509-23: a leaf with keyCertSign or cRLSign is refused', async () => {
    for (const usage of [keyCertSign, cRLSign])
      expect(await verify({ keyUsage: digitalSignature | usage })).toBe(NOT_AN_SVID);
  });
  it('X509-24: the URI name is a SPIFFE ID by the whole syntax', async () => {
    for (const uri of ['https://example.org/a', 'spiffe://example.org/a/../b', 'spiffe://example.org//a'])
      expect(await verify({ uris: [uri] })).toBe(NOT_AN_SVID);
  });
  it('X509-25: an ID without a path is refused', async () =>
    expect(await verify({ uris: ['spiffe://example.org'] })).toBe(NOT_AN_SVID));
  it('X509-26: without a bundle of the trust domain of the leaf, it is untrusted', async () => {
    const stray = await leafOf(root, { uris: ['spiffe://other.org/web'] });
    expect(verdict([stray], bundlesOf([root]))).toBe('ERR_SVID_NO_BUNDLE');
  });
  it('X509-27: neither host name nor subject is looked at', async () => {
    for (const subject of ['', 'CN=evil.test', 'CN=spiffe://example.org/admin'])
      expect(await verify({ subject })).toBe('accepted');
  });
});

describe('contradictions in the text, as decided', () => {
  it('C-01: a certificate with an upper-case scheme is refused, as the string is', async () =>
    expect(await verify({ uris: ['SPIFFE://example.org/a'] })).toBe(NOT_AN_SVID));
  it('C-02: an authority is issued without a slash, and one of a bundle may have one', async () => {
    expect(namesOf(issuer)[0]!.value).not.toMatch(/\/$/);
    const old = await authority({ uris: ['spiffe://example.org/'] });
    expect(verdict([await leafOf(old)], bundlesOf([old]))).toBe('accepted');
  });
  it('C-03: an authority is issued without digitalSignature, and one that has it is accepted', async () => {
    expect(usagesOf(issuer) & digitalSignature).toBe(0);
    const old = await authority({ keyUsage: keyCertSign | digitalSignature });
    expect(verdict([await leafOf(old)], bundlesOf([old]))).toBe('accepted');
  });
});
