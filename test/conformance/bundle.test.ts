// SPIFFE bundles and bundle maps (Trust Domain and Bundle), and the bundle rules of X509-SVID 6, JWT-SVID 5, WIT-SVID 6.
import { Buffer } from 'node:buffer';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseBundleMap, serializeBundleMap } from '../../sdk/bundle/bundle-map.ts';
import { parseJwtBundle, serializeJwtBundle } from '../../sdk/bundle/jwt-bundle.ts';
import { parseSpiffeBundle, type SkippedElement } from '../../sdk/bundle/parse-bundle.ts';
import { hasSameAuthorities, serializeSpiffeBundle } from '../../sdk/bundle/serialize-bundle.ts';
import { spiffeBundleSet, type SpiffeBundle } from '../../sdk/bundle/spiffe-bundle.ts';
import { parseWitBundle, serializeWitBundle } from '../../sdk/bundle/wit-bundle.ts';
import { SpiffeError } from '../../sdk/error.ts';
import { base64urlOf } from '../../sdk/json/base64.ts';
import { nextRefresh } from '../../sdk/federation/schedule.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { authority, document, ecKeys, jwtElement, secondAuthority, x509Element } from './bundle-vectors.ts';

const name = 'example.org';
const trustDomain = parseTrustDomain(name);
const parse = (text: string | Uint8Array) => parseSpiffeBundle(name, text);
const parseWit = (text: string) => parseSpiffeBundle(name, text, { experimental: { wit: true } });
const refused = (text: string | Uint8Array) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ name: 'SpiffeError', code: 'ERR_BUNDLE' }));
};

/** What is left of a bundle with one bad element and one good: the good one alone, and one report. */
function ignores(bad: unknown): void {
  const skipped: SkippedElement[] = [];
  const text = document([bad, x509Element(), jwtElement('good')]);
  const bundle = parseSpiffeBundle(name, text, { onSkipped: (element) => skipped.push(element) });
  expect(bundle.x509Authorities).toHaveLength(1);
  expect([...bundle.jwtAuthorities.keys()]).toEqual(['good']);
  expect(skipped.map(({ index }) => index)).toEqual([0]);
}

const bundleOf = (over: Partial<SpiffeBundle> = {}): SpiffeBundle => ({
  trustDomain,
  x509Authorities: [authority.certificate],
  jwtAuthorities: new Map([['k1', ecKeys().publicKey]]),
  witAuthorities: new Map(),
  ...over,
});
const keysOf = (text: string) => (JSON.parse(text) as { keys: Record<string, unknown>[] }).keys;
const cannotPublish = (over: Partial<SpiffeBundle>) =>
  expect(() => serializeSpiffeBundle(bundleOf(over))).toThrow(SpiffeError);

describe('bundle format', () => {
  it('TB-01: a bundle is a JWK Set; anything else is refused', () => {
    for (const text of ['[]', '"keys"', 'null', '1', '', 'keys', '[{"keys":[]}]']) refused(text);
  });
  it('TB-02: unknown top-level members are accepted and not needed', () => {
    expect(parse(document([x509Element()], { foo: { bar: [1] } })).x509Authorities).toHaveLength(1);
  });
  it('TB-03: a rotation is seen as a change, so that a publisher raises the sequence', () => {
    const before = bundleOf({ sequence: 1n });
    expect(hasSameAuthorities(before, { ...before, sequence: 2n })).toBe(true);
    const rotated = { ...before, x509Authorities: [secondAuthority.certificate] };
    expect(hasSameAuthorities(before, rotated)).toBe(false);
    expect(hasSameAuthorities(before, { ...before, jwtAuthorities: new Map() })).toBe(false);
    expect(JSON.parse(serializeSpiffeBundle(before))).toMatchObject({ spiffe_sequence: 1 });
  });
  it('TB-04: sequences above 2^53 and above 2^63 survive a round trip', () => {
    for (const sequence of ['9007199254740993', '9223372036854775808', '18446744073709551615']) {
      const bundle = parse(`{"keys":[],"spiffe_sequence":${sequence}}`);
      expect(bundle.sequence).toBe(BigInt(sequence));
      expect(serializeSpiffeBundle(bundle)).toContain(`"spiffe_sequence":${sequence}`);
    }
  });
  it('TB-05: a refresh hint that is no whole number of seconds is never published', () => {
    for (const refreshHint of [1.5, Number.NaN, Number.POSITIVE_INFINITY, '60' as unknown as number, -1]) {
      cannotPublish({ refreshHint });
    }
    expect(serializeSpiffeBundle(bundleOf({ refreshHint: 60 }))).toContain('"spiffe_refresh_hint":60');
  });
  it('TB-06: hints of zero, below and far above are read as they are, and clamped by whoever polls', () => {
    for (const hint of [0, -5, 10 ** 15]) {
      const { refreshHint } = parse(document([], { spiffe_refresh_hint: hint }));
      expect(refreshHint).toBe(hint);
      expect(nextRefresh(refreshHint)).toBeGreaterThanOrEqual(1_000);
      expect(nextRefresh(refreshHint)).toBeLessThanOrEqual(86_400_000);
    }
    expect(parse('{"keys":[],"spiffe_refresh_hint":99999999999999999999}').refreshHint).toBeGreaterThan(
      2 ** 52,
    );
  });
  it('TB-07: keys must be there, and may be empty', () => {
    for (const text of ['{}', '{"keys":null}', '{"keys":{}}', '{"keys":""}']) refused(text);
    expect(parse('{"keys":[]}').x509Authorities).toEqual([]);
  });
  it('TB-08: an element of unknown kty is ignored, the rest is kept', () =>
    ignores(jwtElement('a', { kty: 'AKP' })));
  it('TB-09: an element with missing or unknown use is ignored, the rest is kept', () => {
    for (const use of [undefined, null, '', 'sig', 'other-svid', 7]) ignores(jwtElement('a', { use }));
  });
  it('TB-10: use is case-sensitive', () => {
    for (const use of ['X509-SVID', 'JWT-SVID', 'Jwt-Svid', 'x509-svid '])
      ignores(x509Element(undefined, { use }));
  });
  it('TB-11: an empty bundle revokes everything: a peer that was valid is refused', async () => {
    const { certificates } = await authority.issue('/web');
    const before = spiffeBundleSet([parse(document([x509Element()]))]);
    expect(verifyX509Svid(certificates, before).id).toBe('spiffe://example.org/web');
    const after = spiffeBundleSet([parse('{"keys":[]}')]);
    expect(() => verifyX509Svid(certificates, after)).toThrow(SpiffeError);
  });
  it('TB-12: so does a bundle of which nothing usable is left', async () => {
    const { certificates } = await authority.issue('/web');
    const bundle = parse('{"keys":[{"kty":"AKP","use":"x509-svid"}]}');
    expect(() => verifyX509Svid(certificates, spiffeBundleSet([bundle]))).toThrow(SpiffeError);
  });
  it('TB-13: only the documented members are published, never private parts', () => {
    const witAuthorities = new Map([['w1', ecKeys().publicKey]]);
    const elements = keysOf(serializeSpiffeBundle(bundleOf({ witAuthorities, sequence: 1n })));
    expect(elements.map((element) => Object.keys(element))).toEqual([
      ['use', 'kty', 'crv', 'x', 'y', 'x5c'],
      ['use', 'kid', 'kty', 'crv', 'x', 'y'],
      ['use', 'kid', 'kty', 'crv', 'x', 'y'],
    ]);
    cannotPublish({ jwtAuthorities: new Map([['k', ecKeys().privateKey]]) });
  });
  it('TB-14: the reader is told the trust domain, since the document does not say it', () => {
    expect(parseSpiffeBundle('other.org', document([])).trustDomain).toBe('other.org');
    expect(() => parseSpiffeBundle('', document([]))).toThrow(SpiffeError);
    expect(() => parseSpiffeBundle(undefined as unknown as string, document([]))).toThrow(TypeError);
  });
  it('TB-15: the bundle is chosen by the trust domain of the SVID', async () => {
    const { certificates } = await authority.issue('/web');
    const text = document([x509Element()]);
    const others = spiffeBundleSet([parseSpiffeBundle('other.org', text)]);
    expect(() => verifyX509Svid(certificates, others)).toThrow(
      expect.objectContaining({ code: 'ERR_SVID_NO_BUNDLE' }),
    );
  });
  it('TB-17: a root in the bundles of two trust domains vouches only for the name in the leaf', async () => {
    const { certificates } = await authority.issue('/web');
    const text = document([x509Element()]);
    const both = spiffeBundleSet([parse(text), parseSpiffeBundle('other.org', text)]);
    expect(verifyX509Svid(certificates, both).id).toBe('spiffe://example.org/web');
  });
});

describe('X.509 elements', () => {
  it('X509-28, X509-29: one element a root, of use x509-svid, without kid; a consumer ignores one', () => {
    const x509Authorities = [authority.certificate, secondAuthority.certificate];
    const elements = keysOf(serializeSpiffeBundle(bundleOf({ x509Authorities, jwtAuthorities: new Map() })));
    expect(elements.map(({ use, kid }) => ({ use, kid }))).toEqual([
      { use: 'x509-svid' },
      { use: 'x509-svid' },
    ]);
    expect(parse(document([x509Element(undefined, { kid: 'x' })])).x509Authorities).toHaveLength(1);
  });
  it('X509-30: x5c holds exactly one standard base64 DER certificate, beside the members of its key', () => {
    const [element] = keysOf(serializeSpiffeBundle(bundleOf()));
    const [der] = element!['x5c'] as string[];
    expect(element!['x5c']).toHaveLength(1);
    expect(new Uint8Array(Buffer.from(der!, 'base64'))).toEqual(new Uint8Array(authority.certificate.der));
    expect(element).toMatchObject({ kty: 'EC', crv: 'P-256' });
    ignores(x509Element(undefined, { x5c: [base64urlOf(authority.certificate.der)] }));
  });
  it('X509-31: an element with missing or empty x5c is ignored, the rest is kept', () => {
    for (const x5c of [undefined, null, [], '', [7]]) ignores(x509Element(undefined, { x5c }));
  });
  it('X509-32: the first x5c value is used, the others are ignored', () => {
    const both = [authority, secondAuthority].map(({ certificate }) =>
      Buffer.from(certificate.der).toString('base64'),
    );
    const { x509Authorities } = parse(document([x509Element(undefined, { x5c: both })]));
    expect(x509Authorities.map(({ serial }) => serial)).toEqual([authority.certificate.serial]);
  });
  it('X509-33: without x509-svid elements, every X.509 peer of the trust domain is refused', async () => {
    const { certificates } = await authority.issue('/web');
    const bundles = spiffeBundleSet([parse(document([jwtElement('k1')]))]);
    expect(() => verifyX509Svid(certificates, bundles)).toThrow(
      expect.objectContaining({ code: 'ERR_SVID_NO_BUNDLE' }),
    );
  });
  it('X31: a certificate that is no signing certificate is no authority', async () => {
    const { certificates } = await authority.issue('/web');
    const leaf = parseCertificate(certificates[0]!);
    ignores(x509Element(leaf));
    cannotPublish({ x509Authorities: [leaf] });
  });
});

describe('token elements', () => {
  it('JWT-19: one element a key, of use jwt-svid, with kid; a key without kid is not published', () => {
    const jwtAuthorities = new Map(
      [ecKeys(), ecKeys('P-384')].map(({ publicKey }, i) => [`k${i}`, publicKey]),
    );
    const elements = keysOf(serializeSpiffeBundle(bundleOf({ jwtAuthorities }))).slice(1);
    expect(elements.map(({ use, kid }) => `${String(use)} ${String(kid)}`)).toEqual([
      'jwt-svid k0',
      'jwt-svid k1',
    ]);
    cannotPublish({ jwtAuthorities: new Map([['', ecKeys().publicKey]]) });
  });
  it('JWT-20: only jwt-svid elements become JWT authorities', () => {
    const text = document([x509Element(undefined, { kid: 'x' }), jwtElement('w', { use: 'wit-svid' })]);
    expect(parseWit(text).jwtAuthorities.size).toBe(0);
    expect([...parseWit(text).witAuthorities.keys()]).toEqual(['w']);
  });
  it('WIT-27: wit-svid elements have a kid that is unique in the whole bundle', () => {
    cannotPublish({ witAuthorities: new Map([['k1', ecKeys().publicKey]]) });
    const witAuthorities = new Map([['w1', ecKeys().publicKey]]);
    const text = serializeSpiffeBundle(bundleOf({ witAuthorities }));
    expect(keysOf(text).at(-1)).toMatchObject({ use: 'wit-svid', kid: 'w1' });
  });
  it('WIT-28: wit-svid is known only where WIT-SVIDs are enabled (C-07)', () => {
    ignores(jwtElement('w', { use: 'wit-svid' }));
    expect(parseWit(document([jwtElement('w', { use: 'wit-svid' })])).witAuthorities.size).toBe(1);
  });
  it('WAPI-44, WAPI-46: the Workload API form is a plain JWKS: kid and key, no use, no SPIFFE members', () => {
    const text = serializeJwtBundle({ trustDomain, jwtAuthorities: bundleOf().jwtAuthorities });
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['keys']);
    expect(keysOf(text).map((element) => Object.keys(element))).toEqual([['kid', 'kty', 'crv', 'x', 'y']]);
    expect([...parseJwtBundle(name, text).jwtAuthorities.keys()]).toEqual(['k1']);
  });
  it('WAPI-45: keys of another use that leak into a JWT bundle are not used', () => {
    const leaked = document([jwtElement('x', { use: 'x509-svid' }), jwtElement('w', { use: 'wit-svid' })]);
    expect(parseJwtBundle(name, leaked).jwtAuthorities.size).toBe(0);
    expect([...parseWitBundle(name, leaked).witAuthorities.keys()]).toEqual(['w']);
  });
  it('WAPI-66: the WIT form likewise, every key with its kid', () => {
    const witAuthorities = new Map([['w1', ecKeys().publicKey]]);
    const text = serializeWitBundle({ trustDomain, witAuthorities });
    expect([...parseWitBundle(name, text).witAuthorities.keys()]).toEqual(['w1']);
  });
});

describe('vectors 11.5', () => {
  it('B01: X.509 and JWT entries, sequence, hint', () => {
    const text = document([x509Element(), jwtElement('k1')], {
      spiffe_sequence: 7,
      spiffe_refresh_hint: 300,
    });
    expect(parse(text)).toMatchObject({ trustDomain: name, sequence: 7n, refreshHint: 300 });
  });
  it('B02: no keys', () => ['{}', '{"keys":null}'].forEach(refused));
  it('B03: empty keys', () => expect(parse('{"keys":[]}').jwtAuthorities.size).toBe(0));
  it('B04: unknown top-level member', () => expect(parse('{"keys":[],"x":1}').sequence).toBeUndefined());
  it('B05: sequence 2^63 and 2^64-1', () => {
    for (const value of [2n ** 63n, 2n ** 64n - 1n]) {
      expect(parse(`{"keys":[],"spiffe_sequence":${value}}`).sequence).toBe(value);
    }
  });
  it('B06: sequence 2^64', () => {
    expect(parse(`{"keys":[],"spiffe_sequence":${2n ** 64n}}`).sequence).toBe(2n ** 64n);
  });
  it('B07: sequence -1, "1", 1.5, 1e3', () => {
    for (const value of ['-1', '"1"', '1.5', '1e3', 'null', '1.0'])
      refused(`{"keys":[],"spiffe_sequence":${value}}`);
  });
  it('B08: hint 0 and negative', () => {
    for (const hint of [0, -1]) {
      expect(nextRefresh(parse(document([], { spiffe_refresh_hint: hint })).refreshHint)).toBeGreaterThan(0);
    }
  });
  it('B09: hint 1.5 and "60"', () => {
    for (const value of ['1.5', '"60"', 'null', '6e1']) refused(`{"keys":[],"spiffe_refresh_hint":${value}}`);
  });
  it('B10: unknown use', () => ignores(x509Element(undefined, { use: 'tls-svid' })));
  it('B11: no use', () => ignores(x509Element(undefined, { use: undefined })));
  it('B12: use in other case', () => ignores(jwtElement('a', { use: 'JWT-svid' })));
  it('B13: unknown or missing kty, unknown curve', () => {
    for (const over of [
      { kty: 'AKP' },
      { kty: undefined },
      { kty: 'ec' },
      { kty: 'constructor' },
      { crv: 'P-999' },
    ]) {
      ignores(jwtElement('a', over));
      ignores(x509Element(undefined, over));
    }
    ignores(jwtElement('a', { crv: 'secp256k1' }));
  });
  it('B14: x5c missing or empty', () =>
    [undefined, []].forEach((x5c) => ignores(x509Element(undefined, { x5c }))));
  it('B15: two x5c values', () => {
    const der = Buffer.from(authority.certificate.der).toString('base64');
    expect(parse(document([x509Element(undefined, { x5c: [der, 'junk'] })])).x509Authorities).toHaveLength(1);
  });
  it('B16: x5c that is no certificate, or base64url', () => {
    for (const x5c of ['AAAA', 'not base64', '', base64urlOf(authority.certificate.der)]) {
      ignores(x509Element(undefined, { x5c: [x5c] }));
    }
  });
  it('B17: x5c of another key than the JWK', () => {
    ignores({ ...x509Element(secondAuthority.certificate), x5c: x509Element()['x5c'] });
  });
  it('B18: kid on an X.509 entry', () => {
    expect(parse(document([x509Element(undefined, { kid: 'a' })])).x509Authorities).toHaveLength(1);
  });
  it('B19: a token entry without kid', () => {
    for (const kid of [undefined, null, '', 7]) {
      ignores({ ...jwtElement('a'), kid });
      const wit = parseWit(document([{ ...jwtElement('a', { use: 'wit-svid' }), kid }, jwtElement('b')]));
      expect([wit.witAuthorities.size, wit.jwtAuthorities.size]).toEqual([0, 1]);
    }
  });
  it('B20: two JWT entries with one kid: both left out, unless they are the same key', () => {
    const [a, b, c] = [ecKeys(), ecKeys(), ecKeys()].map(({ publicKey }) => jwtElement('k', {}, publicKey));
    for (const elements of [
      [a, b],
      [a, b, a],
      [a, b, c],
      [a, a, b],
    ]) {
      expect(parse(document([...elements, jwtElement('other')])).jwtAuthorities.has('k')).toBe(false);
    }
    expect(parse(document([a, a])).jwtAuthorities.has('k')).toBe(true);
  });
  it('B21: one kid in JWT and WIT: a consumer keeps them apart', () => {
    const { jwtAuthorities, witAuthorities } = parseWit(
      document([jwtElement('k'), jwtElement('k', { use: 'wit-svid' }, ecKeys().publicKey)]),
    );
    expect([jwtAuthorities.size, witAuthorities.size]).toEqual([1, 1]);
  });
  it('B22: JWT entry of kty oct or OKP', () => {
    ignores({ use: 'jwt-svid', kid: 'a', kty: 'oct', k: 'AAAA' });
    const { publicKey } = generateKeyPairSync('ed25519');
    ignores(jwtElement('a', {}, publicKey));
  });
  it('B23: JWT entry with private part', () => {
    const { d } = ecKeys().privateKey.export({ format: 'jwk' });
    ignores(jwtElement('a', { d }));
  });
  it('B24: keys twice', () => refused('{"keys":[],"keys":[]}'));
  it('B25: byte-order mark, trailing garbage, array', () => {
    for (const text of ['\ufeff{"keys":[]}', '{"keys":[]} x', '{"keys":[]}{}', '[]']) refused(text);
    refused(new TextEncoder().encode('\ufeff{"keys":[]}'));
  });
  it('B26: an empty bundle is written as {"keys":[]}', () => {
    const empty = bundleOf({ x509Authorities: [], jwtAuthorities: new Map() });
    expect(serializeSpiffeBundle(empty)).toBe('{"keys":[]}');
  });
  it('B27: a bundle of the Workload API has entries without use, and keys of another use are not used', () => {
    const text = document([jwtElement('a', { use: undefined }), jwtElement('x', { use: 'x509-svid' })]);
    expect([...parseJwtBundle(name, text).jwtAuthorities.keys()]).toEqual(['a']);
  });
  it('B28: of such a bundle, an entry without kid is skipped', () => {
    const text = document([
      { ...jwtElement('a'), use: undefined, kid: undefined },
      jwtElement('b', { use: undefined }),
    ]);
    expect([...parseJwtBundle(name, text).jwtAuthorities.keys()]).toEqual(['b']);
  });
  it('B29: the same certificate twice', () => {
    expect(parse(document([x509Element(), x509Element()])).x509Authorities).toHaveLength(1);
  });
  it('B30: a bundle map with a trust domain twice', () => {
    const text = '{"trust_domains":{"a.org":{"keys":[]},"a.org":{"keys":[]}}}';
    expect(() => parseBundleMap(text)).toThrow(SpiffeError);
  });
});

describe('bundle map', () => {
  it('BM-01: an object with trust_domains, which may be empty', () => {
    expect(parseBundleMap('{"trust_domains":{}}').size).toBe(0);
    for (const text of ['{}', '[]', '{"trust_domains":null}', '{"trust_domains":[]}']) {
      expect(() => parseBundleMap(text)).toThrow(SpiffeError);
    }
    const map = parseBundleMap(serializeBundleMap([bundleOf()]));
    expect(map.get(trustDomain)?.x509Authorities).toHaveLength(1);
  });
  it('BM-02: a trust domain that stands twice is refused, and never published', () => {
    for (const second of ['a.org', String.raw`\u0061.org`]) {
      const text = `{"trust_domains":{"a.org":{"keys":[]},"${second}":{"keys":[]}}}`;
      expect(() => parseBundleMap(text)).toThrow(/twice/);
    }
    expect(() => serializeBundleMap([bundleOf(), bundleOf()])).toThrow(SpiffeError);
  });
  it('BM-03: inner hints are neither published nor scheduled by', () => {
    expect(serializeBundleMap([bundleOf({ refreshHint: 1 })])).not.toContain('refresh_hint');
    const map = parseBundleMap('{"trust_domains":{"a.org":{"keys":[],"spiffe_refresh_hint":1}}}');
    expect(map.get(parseTrustDomain('a.org'))?.refreshHint).toBeUndefined();
  });
  it('BM-04: a map is the whole state, and one broken bundle refuses it whole', () => {
    const first = parseBundleMap('{"trust_domains":{"a.org":{"keys":[]},"b.org":{"keys":[]}}}');
    const second = parseBundleMap('{"trust_domains":{"a.org":{"keys":[]}}}');
    expect([[...first.keys()], [...second.keys()]]).toEqual([['a.org', 'b.org'], ['a.org']]);
    expect(() => parseBundleMap('{"trust_domains":{"a.org":{"keys":[]},"b.org":{}}}')).toThrow(/b\.org/);
  });
  it('BM-05: keys are trust domain names, not IDs', () => {
    for (const key of ['spiffe://a.org', 'A.org', '', 'a.org/x']) {
      expect(() => parseBundleMap(JSON.stringify({ trust_domains: { [key]: { keys: [] } } }))).toThrow(
        SpiffeError,
      );
    }
  });
});

describe('contradictions in the text, as decided', () => {
  it('C-07: wit-svid is a known use only where WIT-SVIDs are enabled', () => {
    const text = document([jwtElement('w', { use: 'wit-svid' }), jwtElement('k')]);
    expect([parse(text), parseWit(text)].map(({ witAuthorities }) => witAuthorities.size)).toEqual([0, 1]);
  });
  it('C-09: typographic quotes, as in the samples of the text, are no JSON', () => refused('{“keys”:[]}'));
  it('C-08: the member is spiffe_refresh_hint', () => {
    expect(parse('{"keys":[],"refresh_hint":5}').refreshHint).toBeUndefined();
  });
  it('C-19: a key ID is never published for two profiles', () => {
    const key: KeyObject = ecKeys().publicKey;
    cannotPublish({ jwtAuthorities: new Map([['k', key]]), witAuthorities: new Map([['k', key]]) });
  });
});
