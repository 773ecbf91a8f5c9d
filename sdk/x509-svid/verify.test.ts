// @peculiar/x509 makes the variations and is the oracle: an implementation that is not ours.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { webcrypto } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { parseX509Bundle, x509BundleSet, type X509BundleSource } from '../bundle/x509-bundle.ts';
import { SpiffeError } from '../error.ts';
import { DerReader, Tag } from './der-reader.ts';
import { concat, element, sequence } from './der-writer.ts';
import { verifyX509Svid } from './verify.ts';

x509.cryptoProvider.set(webcrypto);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR = 3_600_000;

interface Variation {
  readonly issuer?: x509.X509Certificate;
  readonly issuerKeys?: webcrypto.CryptoKeyPair;
  readonly uris?: readonly string[];
  readonly extensions?: readonly x509.Extension[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly subject?: string;
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly algorithm?: object;
}

let rootKeys: webcrypto.CryptoKeyPair;
let root: x509.X509Certificate;
let bundles: X509BundleSource;

const generate = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
const der = (certificate: x509.X509Certificate) => new Uint8Array(certificate.rawData);
const bundlesOf = (...certificates: x509.X509Certificate[]) =>
  x509BundleSet([parseX509Bundle('example.org', concat(certificates.map(der)))]);

const caExtensions = (pathLength?: number, usages = x509.KeyUsageFlags.keyCertSign): x509.Extension[] => [
  new x509.BasicConstraintsExtension(true, pathLength, true),
  new x509.KeyUsagesExtension(usages, true),
];

async function certificate(over: Variation = {}): Promise<x509.X509Certificate> {
  const keys = over.keys ?? (await generate());
  const uris = over.uris ?? ['spiffe://example.org/web'];
  return x509.X509CertificateGenerator.create({
    serialNumber: '0a1b',
    subject: over.subject ?? 'O=leaf',
    issuer: (over.issuer ?? root).subject,
    notBefore: over.notBefore ?? new Date(Date.now() - HOUR),
    notAfter: over.notAfter ?? new Date(Date.now() + HOUR),
    publicKey: keys.publicKey,
    signingKey: (over.issuerKeys ?? rootKeys).privateKey,
    signingAlgorithm: (over.algorithm ?? ALGORITHM) as never,
    extensions: [
      ...(uris.length === 0
        ? []
        : [new x509.SubjectAlternativeNameExtension(uris.map((value) => ({ type: 'url' as const, value })))]),
      ...(over.extensions ?? [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true)]),
    ],
  });
}

async function authority(subject: string, over: Variation = {}): Promise<x509.X509Certificate> {
  return certificate({ uris: [], extensions: caExtensions(), subject, ...over });
}

beforeAll(async () => {
  rootKeys = await generate();
  root = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'O=root',
    keys: rootKeys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - 2 * HOUR),
    notAfter: new Date(Date.now() + 2 * HOUR),
    extensions: caExtensions(),
  });
  bundles = bundlesOf(root);
});

const codeOf = (chain: readonly Uint8Array[], source = bundles, now?: number): string => {
  try {
    verifyX509Svid(chain, source, { now });
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(SpiffeError);
    return (error as SpiffeError).code;
  }
};

describe('verifyX509Svid', () => {
  it('X01: accepts a leaf of an authority, and says what it holds', async () => {
    const leaf = await certificate();
    expect(verifyX509Svid([der(leaf)], bundles)).toMatchObject({
      id: 'spiffe://example.org/web',
      serial: '0a1b',
      notAfter: leaf.notAfter.getTime(),
    });
  });

  it.each([
    ['X02: no URI name', []],
    ['X03: two SPIFFE IDs', ['spiffe://example.org/a', 'spiffe://example.org/b']],
    ['X03: an ID and a web address', ['spiffe://example.org/a', 'https://example.org/']],
    ['X04: a web address', ['https://example.org/a']],
    ['X05: no path', ['spiffe://example.org']],
    ['X06: a trailing slash', ['spiffe://example.org/a/']],
    ['X06: a query', ['spiffe://example.org/a?b']],
    ['X06: a port', ['spiffe://example.org:1/a']],
    ['X07: an upper-case scheme', ['SPIFFE://example.org/a']],
    ['X08: a closing #', ['spiffe://example.org/a#']],
  ])('%s is refused', async (_, uris) => {
    expect(codeOf([der(await certificate({ uris }))])).toBe('ERR_SVID_NOT_AN_SVID');
  });

  it('X09, X10: a leaf that may sign is refused, one without basic constraints is accepted', async () => {
    const signing = await certificate({
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    expect(codeOf([der(signing)])).toBe('ERR_SVID_NOT_AN_SVID');
    expect(codeOf([der(await certificate({ extensions: [] }))])).toBe('accepted');
  });

  it.each([x509.KeyUsageFlags.keyCertSign, x509.KeyUsageFlags.cRLSign])(
    'X13: key usage %i on a leaf is refused',
    async (usage) => {
      const leaf = await certificate({
        extensions: [new x509.KeyUsagesExtension(usage | x509.KeyUsageFlags.digitalSignature, true)],
      });
      expect(codeOf([der(leaf)])).toBe('ERR_SVID_NOT_AN_SVID');
    },
  );

  it('X17: expired and not yet valid are refused, to the second', async () => {
    const leaf = await certificate();
    expect(codeOf([der(leaf)], bundles, leaf.notAfter.getTime())).toBe('accepted');
    expect(codeOf([der(leaf)], bundles, leaf.notAfter.getTime() + 1)).toBe('ERR_SVID_EXPIRED');
    expect(codeOf([der(leaf)], bundles, leaf.notBefore.getTime() - 1)).toBe('ERR_SVID_NOT_YET_VALID');
  });

  it('X18: an unknown critical extension is refused, an unknown one that is not is skipped', async () => {
    const unknown = (critical: boolean) =>
      certificate({ extensions: [new x509.Extension('1.2.3.4', critical, new Uint8Array([5, 0]))] });
    expect(codeOf([der(await unknown(true))])).toBe('ERR_SVID_NOT_AN_SVID');
    expect(codeOf([der(await unknown(false))])).toBe('accepted');
  });

  it('X20: an authority that may not sign, or has expired, signs nothing', async () => {
    const keys = await generate();
    const leafOf = async (ca: x509.X509Certificate) =>
      der(await certificate({ issuer: ca, issuerKeys: keys }));
    const noSigning = await authority('O=a', {
      keys,
      extensions: caExtensions(undefined, x509.KeyUsageFlags.cRLSign),
    });
    const noCa = await authority('O=b', {
      keys,
      extensions: [new x509.BasicConstraintsExtension(false, undefined, true)],
    });
    const expired = await authority('O=c', { keys, notAfter: new Date(Date.now() - 1_000) });
    for (const ca of [noSigning, noCa, expired])
      expect(codeOf([await leafOf(ca)], bundlesOf(ca))).toBe('ERR_SVID_UNTRUSTED');
    const noUsage = await authority('O=d', {
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    expect(codeOf([await leafOf(noUsage)], bundlesOf(noUsage))).toBe('accepted'); // X21
  });

  it('X25, X26: only the bundle of the leaf’s own trust domain counts', async () => {
    const foreign = der(await certificate({ uris: ['spiffe://other.org/web'] }));
    expect(codeOf([foreign])).toBe('ERR_SVID_NO_BUNDLE');
    const other = await testAuthority('other.org');
    const both: X509BundleSource = {
      x509Bundle: (name) => bundles.x509Bundle(name) ?? other.bundles.x509Bundle(name),
    };
    expect(codeOf([foreign], both)).toBe('ERR_SVID_UNTRUSTED');
    expect(codeOf([])).toBe('ERR_SVID_NOT_AN_SVID');
  });

  it('X30, X32: intermediates lead to the authority if each may sign; the leaf comes first', async () => {
    const keys = await generate();
    const intermediate = await authority('O=intermediate', { keys });
    const leaf = await certificate({ issuer: intermediate, issuerKeys: keys });
    expect(codeOf([der(leaf), der(intermediate)])).toBe('accepted');
    expect(codeOf([der(leaf)])).toBe('ERR_SVID_UNTRUSTED');
    expect(codeOf([der(intermediate), der(leaf)])).toBe('ERR_SVID_NOT_AN_SVID');
    expect(codeOf([der(leaf), der(intermediate), der(root)])).toBe('accepted');
    const bad = await authority('O=intermediate', { keys, extensions: [] });
    expect(codeOf([der(leaf), der(bad)])).toBe('ERR_SVID_UNTRUSTED');
  });

  it('X509-13: a path length of zero allows no intermediate', async () => {
    const [rootPair, keys] = [await generate(), await generate()];
    const short = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'O=short',
      keys: rootPair,
      signingAlgorithm: ALGORITHM,
      extensions: caExtensions(0),
    });
    const intermediate = await authority('O=between', { keys, issuer: short, issuerKeys: rootPair });
    const leaf = await certificate({ issuer: intermediate, issuerKeys: keys });
    expect(codeOf([der(leaf), der(intermediate)], bundlesOf(short))).toBe('ERR_SVID_UNTRUSTED');
  });

  it('a name constraint fails closed', async () => {
    const keys = await generate();
    const constrained = await authority('O=constrained', {
      keys,
      extensions: [...caExtensions(), new x509.Extension('2.5.29.30', true, new Uint8Array([0x30, 0]))],
    });
    expect(
      codeOf([der(await certificate({ issuer: constrained, issuerKeys: keys }))], bundlesOf(constrained)),
    ).toBe('ERR_SVID_UNTRUSTED');
  });

  it('bounds the signatures that look-alike issuers can cost', async () => {
    const leaf = der(await certificate());
    const impostors = await Promise.all(
      Array.from({ length: 200 }, async () => authority('O=root', { keys: await generate() })),
    );
    const started = performance.now();
    expect(codeOf([leaf], bundlesOf(...impostors))).toBe('ERR_SVID_UNTRUSTED');
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(codeOf(Array.from({ length: 11 }, () => leaf))).toBe('ERR_SVID_NOT_AN_SVID');
  });

  it('an authority with a key of no accepted kind signs nothing, and keeps no other one from signing', async () => {
    const rsa1024 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 1024 };
    const publicExponent = new Uint8Array([1, 0, 1]);
    const weak = await authority('O=root', {
      keys: await webcrypto.subtle.generateKey({ ...rsa1024, publicExponent }, true, ['sign', 'verify']),
    });
    const leaf = der(await certificate());
    expect(codeOf([leaf], bundlesOf(weak))).toBe('ERR_SVID_UNTRUSTED');
    expect(codeOf([leaf], bundlesOf(weak, root))).toBe('accepted');
    expect(codeOf([leaf, der(weak)], bundlesOf(root))).toBe('accepted');
  });

  it('an authority that is signed by an algorithm we do not know costs the bundle no other one', async () => {
    const keys = await webcrypto.subtle.generateKey(
      { name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
      true,
      ['sign', 'verify'],
    );
    const pss = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'O=pss',
      keys,
      signingAlgorithm: { name: 'RSA-PSS', saltLength: 32 } as never,
      extensions: caExtensions(),
    });
    expect(codeOf([der(await certificate())], bundlesOf(pss, root))).toBe('accepted');
    const signed = { issuer: pss, issuerKeys: keys, algorithm: { name: 'RSA-PSS', saltLength: 32 } };
    expect(codeOf([der(await certificate(signed))], bundlesOf(pss))).toBe('ERR_SVID_UNTRUSTED');
  });

  it('a version with something after it, and an algorithm written in two ways, are refused', async () => {
    const leaf = DerReader.document(der(await certificate()), Tag.sequence);
    const [tbs, algorithm, signature] = [leaf.read(), leaf.read(), leaf.read()] as const;
    const rest = [leaf.wholeOf(algorithm), leaf.wholeOf(signature)];
    const version = element(0xa0, Uint8Array.of(2, 1, 2), Uint8Array.of(2, 1, 2));
    const loose = sequence(version, leaf.contentOf(tbs).subarray(5));
    expect(codeOf([sequence(loose, ...rest)])).toBe('ERR_DER');
    const withNull = sequence(leaf.contentOf(algorithm), element(0x05));
    expect(codeOf([sequence(leaf.wholeOf(tbs), withNull, leaf.wholeOf(signature))])).toBe('ERR_CERTIFICATE');
  });

  it('of many authorities with one name, the one that the leaf names by key identifier is found', async () => {
    const keys = await generate();
    const named = await authority('O=root', {
      keys,
      extensions: [...caExtensions(), new x509.SubjectKeyIdentifierExtension('0102')],
    });
    const others = await Promise.all(
      Array.from({ length: 40 }, async () => authority('O=root', { keys: await generate() })),
    );
    const leaf = await certificate({
      issuer: named,
      issuerKeys: keys,
      extensions: [new x509.AuthorityKeyIdentifierExtension('0102')],
    });
    expect(codeOf([der(leaf)], bundlesOf(...others, named))).toBe('accepted');
  });

  it('a changed byte anywhere is noticed', async () => {
    const leaf = der(await certificate());
    for (let index = 0; index < leaf.length; index++) {
      const changed = leaf.slice();
      changed[index]! ^= 1;
      expect(codeOf([changed]), `byte ${index}`).not.toBe('accepted');
    }
  });
});

describe('what we issue', () => {
  let ours: TestAuthority;
  beforeAll(async () => {
    ours = await testAuthority();
  });

  it('X509-01 to X509-19: is read by another implementation as the standard asks', async () => {
    const svid = await ours.issue('/web', { dnsNames: ['web.example.org'] });
    const leaf = new x509.X509Certificate(svid.certificates[0]);
    const names = leaf.getExtension(x509.SubjectAlternativeNameExtension)!.names.toJSON();
    expect(names).toEqual([
      { type: 'dns', value: 'web.example.org' },
      { type: 'url', value: 'spiffe://example.org/web' },
    ]);
    expect(leaf.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
    expect(leaf.getExtension(x509.KeyUsagesExtension)).toMatchObject({
      critical: true,
      usages:
        x509.KeyUsageFlags.digitalSignature |
        x509.KeyUsageFlags.keyEncipherment |
        x509.KeyUsageFlags.keyAgreement,
    });
    expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)!.usages).toEqual([
      '1.3.6.1.5.5.7.3.1',
      '1.3.6.1.5.5.7.3.2',
    ]);
    expect(leaf.subject).toBe('O=Sigil, CN=web.example.org');
    const issuer = new x509.X509Certificate(ours.certificate.der);
    expect(await leaf.verify({ publicKey: issuer.publicKey })).toBe(true);
    expect(issuer.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: true, critical: true });
    expect(issuer.getExtension(x509.KeyUsagesExtension)).toMatchObject({
      critical: true,
      usages: x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
    });
    expect(issuer.getExtension(x509.SubjectAlternativeNameExtension)!.names.toJSON()).toEqual([
      { type: 'url', value: 'spiffe://example.org' },
    ]);
  });

  it('never outlives its authority', async () => {
    const svid = await ours.issue('/web', { notAfter: Date.now() + 100 * HOUR, notBefore: 0 });
    expect(svid.notAfter).toBe(ours.certificate.notAfter);
    expect(svid.notBefore).toBe(ours.certificate.notBefore);
    expect(verifyX509Svid(svid.certificates, ours.bundles).id).toBe('spiffe://example.org/web');
  });

  it('X509-05: refuses an ID without a path', async () => {
    await expect(ours.issue('')).rejects.toMatchObject({ code: 'ERR_SPIFFE_ID' });
  });
});
