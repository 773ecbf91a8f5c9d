import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { exportJWK, importJWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { testAuthority } from '../../test/support/authority.ts';
import { SpiffeError } from '../error.ts';
import { parseJson } from '../json/parse.ts';
import { parseTrustDomain } from '../spiffe-id.ts';
import { parseBundleMap, serializeBundleMap } from './bundle-map.ts';
import { KeyCache, publicJwkOf, readPublicJwk } from './jwk.ts';
import { jwtBundleSet, parseJwtBundle } from './jwt-bundle.ts';
import { parseSpiffeBundle } from './parse-bundle.ts';
import { isSameBundle, serializeSpiffeBundle } from './serialize-bundle.ts';
import { spiffeBundleSet, type SpiffeBundle } from './spiffe-bundle.ts';
import { parseWitBundle, witBundleSet } from './wit-bundle.ts';

const asJson = (value: unknown) => parseJson(JSON.stringify(value)) as Parameters<typeof readPublicJwk>[0];
const keys = {
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  Ed25519: generateKeyPairSync('ed25519'),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

const ALGORITHMS: Record<string, string> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
  RSA: 'RS256',
};

describe('JWKs', () => {
  it.each(Object.entries(keys))('%s goes out and in, as jose writes it', async (name, { publicKey }) => {
    const jwk = publicJwkOf(publicKey);
    expect(await exportJWK(publicKey)).toEqual(jwk);
    expect(publicJwkOf(readPublicJwk(asJson(jwk)))).toEqual(jwk);
    expect(await importJWK(jwk, ALGORITHMS[name])).toBeDefined();
  });

  it('a cache gives back the key it was given, and forgets the oldest', () => {
    const cache = new KeyCache(2);
    const jwks = ['P-256', 'P-384', 'P-521'].map((name) =>
      asJson(publicJwkOf(keys[name as 'P-256'].publicKey)),
    );
    const first = jwks.map((jwk) => readPublicJwk(jwk, cache));
    expect(readPublicJwk(jwks[2]!, cache)).toBe(first[2]);
    expect(readPublicJwk(jwks[0]!, cache)).not.toBe(first[0]);
    const secret = asJson(keys['P-256'].privateKey.export({ format: 'jwk' }));
    expect(() => readPublicJwk(secret, cache)).toThrow(SpiffeError);
  });

  it('refuses private and symmetric keys, small RSA keys and odd spellings', () => {
    const { x, y } = publicJwkOf(keys['P-256'].publicKey) as { x: string; y: string };
    const large = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    for (const jwk of [
      keys['P-256'].privateKey.export({ format: 'jwk' }),
      { kty: 'oct', k: 'AAAA' },
      small,
      { kty: 'EC', crv: 'P-256', x },
      { kty: 'EC', crv: 'P-256', x, y: x },
      { kty: 'EC', crv: 'P-384', x, y },
      { kty: 'EC', crv: 'P-256', x: `${x}=`, y },
      { kty: 'EC', crv: 'P-256', x: ` ${x}`, y },
      { kty: 'EC', crv: 'P-256', x: 'A'.repeat(5_000), y },
      { kty: 'RSA', n: 'A'.repeat(4_096), e: 'AQAB' },
      ...['AQ', 'Ag', 'AA', 'AQAAAAAAAAAB'].map((e) => ({ ...large, e })),
    ]) {
      expect(() => readPublicJwk(asJson(jwk))).toThrow(SpiffeError);
    }
    expect(() => publicJwkOf(keys['P-256'].privateKey)).toThrow(SpiffeError);
  });
});

describe('bundles', () => {
  it('come back as they were written, each kind of key', async () => {
    const authorities = await Promise.all([testAuthority(), testAuthority()]);
    const entries = Object.entries(keys).filter(([name]) => name !== 'Ed25519');
    const bundle: SpiffeBundle = {
      trustDomain: parseTrustDomain('example.org'),
      x509Authorities: authorities.map(({ certificate }) => certificate),
      jwtAuthorities: new Map(entries.map(([name, { publicKey }]) => [name, publicKey])),
      witAuthorities: new Map([['w', keys['P-384'].publicKey]]),
      sequence: 2n ** 63n,
      refreshHint: 300,
    };
    const experimental = { wit: true };
    const back = parseSpiffeBundle('example.org', serializeSpiffeBundle(bundle), { experimental });
    expect(isSameBundle(bundle, back)).toBe(true);
    const map = parseBundleMap(serializeBundleMap([bundle]), { experimental });
    expect(isSameBundle({ ...bundle, refreshHint: undefined }, map.get(bundle.trustDomain)!)).toBe(true);
    const set = spiffeBundleSet([bundle]);
    expect(set.jwtBundle(bundle.trustDomain)?.jwtAuthorities.size).toBe(4);
    expect(set.witBundle(bundle.trustDomain)?.witAuthorities.size).toBe(1);
    const other = parseTrustDomain('other.org');
    expect([set.x509Bundle(other), set.jwtBundle(other), set.witBundle(other)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const part = {
      trustDomain: other,
      jwtAuthorities: bundle.jwtAuthorities,
      witAuthorities: bundle.witAuthorities,
    };
    expect(jwtBundleSet([part]).jwtBundle(other)).toBe(part);
    expect(witBundleSet([part]).witBundle(other)).toBe(part);
  });

  it('parsers fail on anything with SpiffeError and nothing else, and pollute nothing', () => {
    const name = fc.constantFrom(
      'keys',
      'trust_domains',
      'kty',
      'use',
      'kid',
      'x5c',
      'crv',
      'n',
      'e',
      'x',
      'y',
      'a.org',
      '__proto__',
    );
    const leaf = fc.oneof(
      fc.constantFrom(
        'EC',
        'RSA',
        'OKP',
        'oct',
        'x509-svid',
        'jwt-svid',
        'wit-svid',
        'P-256',
        'AQAB',
        null,
        1,
        -1,
        1.5,
        true,
      ),
      fc.string(),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }),
        fc
          .array(fc.tuple(name, tie('value')), { maxLength: 6 })
          .map((entries) => Object.fromEntries(entries)),
      ),
    }));
    const wrapped = fc.oneof(
      value.map((keys) => ({ keys })),
      fc.array(value).map((keys) => ({ keys })),
      value.map((trust_domains) => ({ trust_domains })),
      value,
    );
    const parsers = [
      (text: string) => parseSpiffeBundle('a.org', text, { experimental: { wit: true } }),
      (text: string) => parseBundleMap(text),
      (text: string) => parseJwtBundle('a.org', text),
      (text: string) => parseWitBundle('a.org', text),
    ];
    fc.assert(
      fc.property(wrapped, (input) => {
        const text = JSON.stringify(input);
        for (const parse of parsers) {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(SpiffeError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it.each([
    ['a kid of a megabyte', { keys: [{ use: 'jwt-svid', kid: 'k'.repeat(1_000_000), kty: 'EC' }] }],
    [
      'a modulus of a megabyte',
      { keys: [{ use: 'jwt-svid', kid: 'k', kty: 'RSA', n: 'A'.repeat(1_000_000), e: 'AQAB' }] },
    ],
    ['an x5c of a megabyte', { keys: [{ use: 'x509-svid', kty: 'EC', x5c: ['A'.repeat(1_000_000)] }] }],
    ['many empty elements', { keys: Array.from({ length: 300_000 }, () => ({})) }],
    ['a trust domain of a megabyte', { trust_domains: { ['a'.repeat(1_000_000)]: { keys: [] } } }],
  ])('take bounded time for %s', (_, input) => {
    const text = JSON.stringify(input);
    const started = performance.now();
    for (const parse of [(t: string) => parseSpiffeBundle('a.org', t), parseBundleMap]) {
      try {
        parse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SpiffeError);
      }
    }
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});
