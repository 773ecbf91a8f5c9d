// Hostile bytes: no exception but SpiffeError, time that grows with the input and not faster. `SIGIL_FUZZ_RUNS` sets how many
// cases of each property run (default 2,000).
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { parseX509Bundle } from '../bundle/x509-bundle.ts';
import { SpiffeError } from '../error.ts';
import { parseCertificate, parseCertificates } from './certificate.ts';
import { readCsr, createCsr } from './csr.ts';
import { DerReader } from './der-reader.ts';
import * as der from './der-writer.ts';
import { parsePemX509Svid } from './load-x509-svid.ts';
import { allowsNames, readNameConstraints, uriHostOf } from './name-constraints.ts';
import { derOfPem, parsePemCertificates, pemOf } from './pem.ts';
import { verifyX509Svid } from './verify.ts';
import { parseX509Svid, readPrivateKey, type X509Svid } from './x509-svid.ts';

const RUNS = Number(process.env['SIGIL_FUZZ_RUNS'] ?? 2_000);
const LONG = { timeout: 60_000 + RUNS * 5 };

let authority: TestAuthority;
let svid: X509Svid;
let leaf: Uint8Array;
let csr: Uint8Array;

beforeAll(async () => {
  authority = await testAuthority();
  svid = await authority.issue('/web', { dnsNames: ['web.example.org'] });
  leaf = svid.certificates[0]!;
  csr = createCsr(authority.privateKey, svid.id);
});

const PARSERS: readonly (readonly [string, (bytes: Uint8Array) => unknown])[] = [
  ['parseCertificate', parseCertificate],
  ['parseCertificates', (bytes) => parseCertificates(bytes)],
  ['readCsr', readCsr],
  ['readPrivateKey', readPrivateKey],
  ['parseX509Svid, certificates', (bytes) => parseX509Svid(bytes, svid.privateKey)],
  ['parseX509Svid, key', (bytes) => parseX509Svid(leaf, bytes)],
  ['parseX509Bundle', (bytes) => parseX509Bundle('example.org', bytes)],
  ['verifyX509Svid', (bytes) => verifyX509Svid([bytes, leaf], authority.bundles)],
  ['readNameConstraints', (bytes) => readNameConstraints(new DerReader(bytes))],
];

// What is thrown is a SpiffeError, or nothing is.
function expectTame(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(SpiffeError);
  }
}

function timeOf(act: () => unknown): number {
  const started = performance.now();
  expectTame(act);
  return performance.now() - started;
}

// DER that nests and repeats what certificates are made of.
const { node } = fc.letrec<{ node: Uint8Array }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    fc
      .tuple(
        fc.constantFrom(0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x17, 0x18, 0x82, 0x86),
        fc.uint8Array({ maxLength: 24 }),
      )
      .map(([tag, content]) => der.element(tag, content)),
    fc
      .constantFrom('2.5.29.17', '2.5.29.19', '2.5.29.15', '2.5.29.30', '1.2.840.10045.4.3.2')
      .map(der.objectIdentifier),
    fc
      .tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0xa1, 0xa3, 0x04), fc.array(tie('node'), { maxLength: 5 }))
      .map(([tag, parts]) => der.element(tag, ...parts)),
  ),
}));

describe('hostile bytes', () => {
  it.each(PARSERS)('%s: random bytes and random DER', LONG, (_, parse) => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), node), (bytes) =>
        expectTame(() => parse(bytes)),
      ),
      { numRuns: RUNS },
    );
  });

  it.each(PARSERS)('%s: real documents, changed, cut and joined', LONG, (_, parse) => {
    const documents = fc
      .nat({ max: 3 })
      .map((index) => [leaf, csr, svid.privateKey, authority.certificate.der][index]!);
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(
        documents,
        changes,
        fc.nat(),
        fc.uint8Array({ maxLength: 8 }),
        (document, edits, cut, tail) => {
          const bytes = document.slice(0, edits.length === 0 ? cut % (document.length + 1) : undefined);
          for (const [at, xor] of edits) bytes[at % bytes.length]! ^= xor;
          expectTame(() => parse(der.concat([bytes, tail])));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('a changed leaf is never accepted', LONG, () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, xor) => {
        const changed = leaf.slice();
        changed[at % changed.length]! ^= xor;
        expect(() => verifyX509Svid([changed], authority.bundles)).toThrow(SpiffeError);
      }),
      { numRuns: RUNS },
    );
  });

  it('PEM: any text', LONG, () => {
    const line = fc.oneof(
      fc.constantFrom(
        '-----BEGIN CERTIFICATE-----',
        '-----END CERTIFICATE-----',
        '-----BEGIN PRIVATE KEY-----',
        'AAAA',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const text = lines.join('\n');
        for (const parse of [parsePemCertificates, parsePemX509Svid]) expectTame(() => parse(text));
      }),
      { numRuns: RUNS },
    );
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 4 }),
        (documents) => {
          expect(derOfPem('CERTIFICATE', pemOf('CERTIFICATE', documents))).toEqual(documents);
        },
      ),
      { numRuns: RUNS / 4 },
    );
  });

  it('name constraints: what is not permitted stays out, whatever the names', LONG, () => {
    const label = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
    fc.assert(
      fc.property(name, name, (host, base) => {
        const permitted = {
          critical: true,
          wellFormed: true,
          permitted: [{ form: 0x86, base }],
          excluded: [],
        };
        const names = {
          uriHosts: [uriHostOf(`spiffe://${host}/a`)],
          dnsNames: [],
          otherForms: new Set<number>(),
        };
        expect(allowsNames(permitted, names)).toBe(host === base && !/^\d{1,3}(\.\d{1,3}){3}$/.test(host));
        const below = { ...permitted, permitted: [{ form: 0x86, base: `.${base}` }] };
        if (allowsNames(below, names)) expect(host.endsWith(`.${base}`)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('large input costs linear time', () => {
  const san = (count: number, name: string) =>
    der.sequence(
      der.objectIdentifier('2.5.29.17'),
      der.octetString(
        der.sequence(...Array.from({ length: count }, () => der.element(0x82, der.ascii(name)))),
      ),
    );
  // Where the issuer's certificate is good, with its extensions replaced.
  const withExtensions = (...extensions: Uint8Array[]) => {
    const { subject, publicKeyInfo, signature } = parseCertificate(leaf);
    const algorithm = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2'));
    const times = der.sequence(der.time(Date.now() - 1_000), der.time(Date.now() + 1_000));
    const body = der.sequence(
      der.element(0xa0, der.unsignedInteger(Uint8Array.of(2))),
      der.unsignedInteger(Uint8Array.of(1)),
      algorithm,
      subject,
      times,
      subject,
      publicKeyInfo,
      der.element(0xa3, der.sequence(...extensions)),
    );
    return der.sequence(body, algorithm, der.bitString(signature));
  };
  const nested = (depth: number) => {
    const bytes = new Uint8Array(depth * 4);
    for (let at = 0; at < depth; at++)
      bytes.set([0x30, 0x82, ((depth - at) * 4 - 4) >> 8, ((depth - at) * 4 - 4) & 0xff], at * 4);
    return bytes;
  };
  const cases: readonly (readonly [string, () => Uint8Array])[] = [
    ['a name of a megabyte', () => withExtensions(san(1, 'a'.repeat(1_000_000)))],
    ['10,000 names', () => withExtensions(san(10_000, 'a.test'))],
    ['60 kB of names', () => withExtensions(san(1_000, 'a'.repeat(50)))],
    [
      'the same extension 5,000 times',
      () => withExtensions(...Array.from({ length: 5_000 }, () => san(1, 'a'))),
    ],
    ['nesting 16,000 deep', () => nested(16_000)],
    ['an integer of a megabyte', () => der.sequence(der.element(2, new Uint8Array(1_000_000).fill(0x7f)))],
    ['an indefinite length', () => der.concat([Uint8Array.of(0x30, 0x80), new Uint8Array(1_000_000)])],
    [
      'a length of four gigabytes',
      () => der.concat([Uint8Array.of(0x30, 0x84, 255, 255, 255, 255), new Uint8Array(60_000)]),
    ],
    ['60,000 empty elements', () => der.concat(Array.from({ length: 30_000 }, () => Uint8Array.of(0x30, 0)))],
    ['an object identifier of 60 kB', () => der.sequence(der.element(6, new Uint8Array(60_000).fill(0x81)))],
  ];
  it.each(cases)('%s', (_, make) => {
    const bytes = make();
    for (const [name, parse] of PARSERS)
      expect(
        timeOf(() => parse(bytes)),
        name,
      ).toBeLessThan(1_000);
  });

  it('PEM of a megabyte without an end, and of 10,000 blocks', () => {
    for (const text of [
      `-----BEGIN CERTIFICATE-----${'A'.repeat(1_000_000)}`,
      '-----BEGIN CERTIFICATE-----'.repeat(40_000),
      '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'.repeat(10_000),
    ])
      expect(timeOf(() => parsePemCertificates(text))).toBeLessThan(1_500);
  });

  it('ten intermediates with 1,024 constraints each, and a leaf with 1,024 names', () => {
    const constraints = Array.from({ length: 1_024 }, (_, index) => ({ form: 0x82, base: `n${index}.test` }));
    const names = {
      uriHosts: ['example.org'],
      dnsNames: Array.from({ length: 1_024 }, (_, index) => `w${index}.test`),
      otherForms: new Set<number>(),
    };
    const judged = { critical: true, wellFormed: true, permitted: constraints, excluded: constraints };
    expect(timeOf(() => Array.from({ length: 10 }, () => allowsNames(judged, names)))).toBeLessThan(1_000);
  });
});
