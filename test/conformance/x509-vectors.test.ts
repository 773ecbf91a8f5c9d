// The vectors 11.2: certificates, and what a validator (Verify) and the loader of one's own SVID (Load) say to them.
import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { concat } from '../../sdk/x509-svid/der-writer.ts';
import { parsePemX509Svid } from '../../sdk/x509-svid/load-x509-svid.ts';
import { parsePemCertificates, pemOf } from '../../sdk/x509-svid/pem.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import {
  authority,
  bundlesOf,
  codeOf,
  leafOf,
  loadVerdict,
  nameConstraints,
  pkcs8Of,
  verdict,
  x509,
  type Made,
  type Variation,
} from './x509-certificates.ts';

const { digitalSignature, keyEncipherment, keyAgreement, keyCertSign, cRLSign } = x509.KeyUsageFlags;
const [SERVER, CLIENT, EMAIL] = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.4'] as const;
const URI = 0x86;
const DNS = 0x82;
const NOT_AN_SVID = 'ERR_SVID_NOT_AN_SVID';
const UNTRUSTED = 'ERR_SVID_UNTRUSTED';

let root: Made;
beforeAll(async () => {
  root = await authority();
});

// A leaf of the root, judged against it.
const verify = async (over: Variation) => verdict([await leafOf(root, over)], bundlesOf([root]));
const load = async (over: Variation) => loadVerdict([await leafOf(root, over)]);
const both = async (over: Variation) => [await verify(over), await load(over)];
// A good leaf of a root that is different.
const under = async (ca: Variation, leaf: Variation = {}) => {
  const made = await authority(ca);
  return verdict([await leafOf(made, leaf)], bundlesOf([made]));
};
const ACCEPTED = ['accepted', 'accepted'];
const REFUSED = [NOT_AN_SVID, NOT_AN_SVID];

describe('leaves', () => {
  it('X01: well-formed, and with DNS names', async () => {
    expect(await both({})).toEqual(ACCEPTED);
    expect(await both({ dnsNames: ['web.example.org', 'other.test'] })).toEqual(ACCEPTED);
  });
  it('X02: without URI name', async () => {
    expect(await both({ uris: [] })).toEqual(REFUSED);
    expect(await both({ uris: [], dnsNames: ['web.example.org'] })).toEqual(REFUSED);
  });
  it('X03: two URI names', async () => {
    expect(await both({ uris: ['spiffe://example.org/a', 'spiffe://example.org/b'] })).toEqual(REFUSED);
    expect(await both({ uris: ['spiffe://example.org/a', 'https://example.org/'] })).toEqual(REFUSED);
  });
  it('X04: another scheme', async () => {
    for (const uri of ['https://example.org/a', 'sparfe://example.org/a'])
      expect(await both({ uris: [uri] })).toEqual(REFUSED);
  });
  it('X05: no path', async () => expect(await both({ uris: ['spiffe://example.org'] })).toEqual(REFUSED));
  it('X06: trailing slash, query, port, user, percent, upper case', async () => {
    for (const rest of [
      'example.org/a/',
      'example.org/a?b',
      'example.org/a?',
      'example.org:1/a',
      'example.org:/a',
    ])
      expect(await verify({ uris: [`spiffe://${rest}`] }), rest).toBe(NOT_AN_SVID);
    for (const rest of ['u@example.org/a', '@example.org/a', 'example.org/%61', 'Example.org/a'])
      expect(await verify({ uris: [`spiffe://${rest}`] }), rest).toBe(NOT_AN_SVID);
  });
  it('X07: an upper-case scheme is refused, so that nothing needs canonical form (C-01)', async () =>
    expect(await both({ uris: ['SPIFFE://example.org/a'] })).toEqual(REFUSED));
  it('X08: a closing #', async () =>
    expect(await both({ uris: ['spiffe://example.org/a#'] })).toEqual(REFUSED));
  it('X09: cA true', async () => expect(await both({ ca: true })).toEqual(REFUSED));
  it('X10: no basic constraints', async () => expect(await both({ ca: null })).toEqual(ACCEPTED));
  it('X11: without digitalSignature, a peer is accepted and an own SVID is not loaded', async () => {
    for (const keyUsage of [null, keyEncipherment])
      expect(await both({ keyUsage })).toEqual(['accepted', NOT_AN_SVID]);
  });
  it('X12: further usages of leaves', async () =>
    expect(await both({ keyUsage: digitalSignature | keyEncipherment | keyAgreement })).toEqual(ACCEPTED));
  it('X13: usages of authorities', async () => {
    for (const usage of [keyCertSign, cRLSign])
      expect(await both({ keyUsage: digitalSignature | usage })).toEqual(REFUSED);
  });
  it('X14: no extended key usage', async () => expect(await both({ purposes: undefined })).toEqual(ACCEPTED));
  it('X15: one extended usage alone', async () => {
    for (const purpose of [SERVER, CLIENT, EMAIL])
      expect(await both({ purposes: [purpose] })).toEqual(ACCEPTED);
  });
  it('X16: empty subject, names not critical', async () =>
    expect(await both({ subject: '', sanCritical: false })).toEqual(ACCEPTED));
  it('X17: expired, not yet valid; loading judges no time', async () => {
    expect(await both({ notBefore: -9_000, notAfter: -5_000 })).toEqual(['ERR_SVID_EXPIRED', 'accepted']);
    expect(await both({ notBefore: 60_000 })).toEqual(['ERR_SVID_NOT_YET_VALID', 'accepted']);
  });
  it('X18: unknown critical extension: neither valid for peers nor worth loading', async () => {
    const extra = [new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0]))];
    expect(await both({ extra })).toEqual(REFUSED);
  });
});

describe('authorities', () => {
  it('X19: without name, with a path, of another trust domain, with two names', async () => {
    for (const uris of [
      [],
      ['spiffe://example.org/ca'],
      ['spiffe://other.org'],
      ['spiffe://a', 'spiffe://b'],
    ])
      expect(await under({ uris })).toBe('accepted');
  });
  it('X20: without keyCertSign, without cA, expired', async () => {
    for (const ca of [{ keyUsage: cRLSign }, { ca: false }, { notBefore: -9_000, notAfter: -5_000 }])
      expect(await under(ca)).toBe(UNTRUSTED);
  });
  it('X21: without key usage', async () => expect(await under({ keyUsage: null })).toBe('accepted'));
  it('X22: extended usages of an authority say nothing about its leaves', async () => {
    for (const purpose of [CLIENT, EMAIL]) expect(await under({ purposes: [purpose] })).toBe('accepted');
  });
  it('X23: URI constraints', async () => {
    const constrained = (...args: Parameters<typeof nameConstraints>) =>
      under({ extra: [nameConstraints(...args)] });
    expect(await constrained([[URI, 'example.org']])).toBe('accepted');
    expect(await constrained([[URI, 'other.org']])).toBe(UNTRUSTED);
    expect(await constrained([], [[URI, 'example.org']])).toBe(UNTRUSTED);
    expect(await constrained([], [[URI, 'other.org']])).toBe('accepted');
    expect(await constrained([[URI, '.org']])).toBe('accepted');
    expect(await constrained([[URI, '.example.org']])).toBe(UNTRUSTED);
    expect(await constrained([[URI, 'org']])).toBe(UNTRUSTED);
    expect(await constrained([[URI, 'EXAMPLE.org']])).toBe('accepted');
    expect(await constrained([[URI, '']])).toBe(UNTRUSTED);
    expect(await constrained([], [[URI, '']])).toBe(UNTRUSTED);
    expect(await constrained([], [[URI, 'spiffe://other.org']])).toBe(UNTRUSTED);
  });
  it('X24: DNS constraints bind DNS names, and a leaf without them is free', async () => {
    const extra = [nameConstraints([[DNS, 'other.org']])];
    expect(await under({ extra })).toBe('accepted');
    expect(await under({ extra }, { dnsNames: ['a.other.org'] })).toBe('accepted');
    expect(await under({ extra }, { dnsNames: ['a.other.org', 'another.org'] })).toBe(UNTRUSTED);
  });
  it('X25: a leaf of another trust domain under this root, both bundles loaded', async () => {
    const other = await authority({ uris: ['spiffe://other.org'] });
    const leaf = await leafOf(root, { uris: ['spiffe://other.org/web'] });
    const bundles = x509BundleSet([
      parseX509Bundle('example.org', root.der),
      parseX509Bundle('other.org', other.der),
    ]);
    expect(verdict([leaf], bundles)).toBe(UNTRUSTED);
  });
  it('X26: no bundle, an empty bundle, an empty chain', async () => {
    const leaf = await leafOf(root, { uris: ['spiffe://other.org/web'] });
    expect(verdict([leaf], bundlesOf([root]))).toBe('ERR_SVID_NO_BUNDLE');
    expect(verdict([leaf], bundlesOf([], 'other.org'))).toBe('ERR_SVID_NO_BUNDLE');
    expect(verdict([], bundlesOf([root]))).toBe(NOT_AN_SVID);
  });
  const named = async (name: string, ca: Variation = {}) => {
    const made = await authority(ca);
    const leaf = await leafOf(made, { uris: [`spiffe://${name}/web`] });
    return verdict([leaf], bundlesOf([made], name));
  };
  it('X27: trust domains that Go cannot read', async () => {
    for (const name of ['example.org.', 'a..b', '.a']) expect(await named(name), name).toBe('accepted');
  });
  it('X28: unusual trust domains', async () => {
    for (const name of ['-', '_', 'a', 'exa_mple.org', 'a'.repeat(68), 'a'.repeat(255)])
      expect(await named(name), name).toBe('accepted');
  });
  it('X29: a trust domain like an address under any URI constraint', async () => {
    for (const extra of [nameConstraints([[URI, '10.0.0.1']]), nameConstraints([], [[URI, 'example.org']])])
      expect(await named('10.0.0.1', { extra: [extra] })).toBe(UNTRUSTED);
    expect(await named('10.0.0.1', { extra: [nameConstraints([[DNS, 'a.org']])] })).toBe('accepted');
  });
  it('X30: an intermediate that may not sign', async () => {
    for (const over of [{ ca: false }, { keyUsage: cRLSign }]) {
      const intermediate = await authority({ issuer: root, ...over });
      expect(verdict([await leafOf(intermediate), intermediate], bundlesOf([root]))).toBe(UNTRUSTED);
    }
  });
  it('X31: a leaf that stands in the bundle is no authority, for itself or for others', async () => {
    const leaf = await leafOf(root);
    expect(verdict([leaf], bundlesOf([leaf]))).toBe(UNTRUSTED);
    expect(verdict([await leafOf(leaf)], bundlesOf([leaf, root]))).toBe(UNTRUSTED);
    expect(verdict([leaf], bundlesOf([leaf, root]))).toBe('accepted');
  });
  it('X32: intermediate first', async () => {
    const intermediate = await authority({ issuer: root });
    const leaf = await leafOf(intermediate);
    expect(verdict([leaf, intermediate], bundlesOf([root]))).toBe('accepted');
    expect(verdict([intermediate, leaf], bundlesOf([root]))).toBe(NOT_AN_SVID);
  });
});

describe('loading', () => {
  it('X33: keys and certificates in another form', async () => {
    const leaf = await leafOf(root);
    const good = await pkcs8Of(leaf);
    const key = createPrivateKey({ key: Buffer.from(good), format: 'der', type: 'pkcs8' });
    const text = (value: string) => new TextEncoder().encode(value);
    const encrypted = { type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    const keys: readonly [string, Uint8Array][] = [
      ['another key', await pkcs8Of(await leafOf(root))],
      ['PEM', text(pemOf('PRIVATE KEY', [good]))],
      ['SEC1', key.export({ type: 'sec1', format: 'der' })],
      ['encrypted', key.export(encrypted)],
      ['empty', new Uint8Array(0)],
      ['trailing byte', concat([good, Uint8Array.of(0)])],
      ['public', createPublicKey(key).export({ type: 'spki', format: 'der' })],
    ];
    expect(parseX509Svid(leaf.der, good).id).toBe('spiffe://example.org/web');
    for (const [name, bytes] of keys)
      expect(
        codeOf(() => parseX509Svid(leaf.der, bytes)),
        name,
      ).toBe('ERR_PRIVATE_KEY');
    for (const bytes of [text(pemOf('CERTIFICATE', [leaf.der])), concat([leaf.der, Uint8Array.of(0)])])
      expect(codeOf(() => parseX509Svid(bytes, good))).toBe('ERR_DER');
    expect(codeOf(() => parseX509Svid(new Uint8Array(0), good))).toBe(NOT_AN_SVID);
  });
  it('X33: RSA in PKCS#1', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pkcs1 = new Uint8Array(privateKey.export({ type: 'pkcs1', format: 'der' }));
    const leaf = await leafOf(root);
    expect(codeOf(() => parseX509Svid(leaf.der, pkcs1))).toBe('ERR_PRIVATE_KEY');
  });
  it('X33: from PEM, leaf and key', async () => {
    const leaf = await leafOf(root);
    const certificates = pemOf('CERTIFICATE', [leaf.der]);
    const key = pemOf('PRIVATE KEY', [await pkcs8Of(leaf)]);
    expect(parsePemX509Svid(certificates, key).id).toBe('spiffe://example.org/web');
    expect(parsePemX509Svid(key + certificates).serial).toBe('0a1b');
    expect(codeOf(() => parsePemX509Svid(certificates))).toBe('ERR_PRIVATE_KEY');
    expect(codeOf(() => parsePemX509Svid(key, key))).toBe(NOT_AN_SVID);
  });
  it('X34: an Ed25519 leaf', async () => expect(await both({ algorithm: 'Ed25519' })).toEqual(ACCEPTED));
  it('X35: PEM of 0 bytes is an empty bundle, other text is an error', () => {
    expect(parsePemCertificates('')).toEqual([]);
    expect(codeOf(() => parsePemCertificates('no certificates here'))).toBe('ERR_CERTIFICATE');
    expect(parsePemCertificates(pemOf('CERTIFICATE', [root.der, root.der]))).toHaveLength(2);
  });
});
