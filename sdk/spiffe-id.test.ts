import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from './error.ts';
import {
  isMemberOf,
  isSpiffeId,
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  spiffeIdOf,
  trustDomainId,
  trustDomainOf,
} from './spiffe-id.ts';

const host = 'spiffe://example.org';

const ACCEPTED = [
  host,
  ...['/a', '/a/b', '/A', '/...', '/.a', '/a..', '/a_b-c.d'].map((path) => host + path),
  'spiffe://10.0.0.1/a',
  'spiffe://exa_mple.org/a',
  'spiffe://-./a',
  'spiffe://_/a',
  'spiffe://a..b/a',
  'spiffe://.example.org/a',
  'spiffe://example.org./a',
  `spiffe://${'a'.repeat(255)}/a`,
  `${host}/${'a'.repeat(2048 - host.length - 1)}`,
];

const REFUSED = [
  ...['/', '/a/', '//a', '/a//b', '//', '/.', '/..', '/./a', '/a/./b', '/a/..', '/../a', '/a/../b'].map(
    (p) => host + p,
  ),
  ...[
    '/%61',
    '/a?x=1',
    '/a?',
    '/a#f',
    '/a#',
    ':443/a',
    ':/a',
    '/a~b',
    '/a+b',
    '/a:b',
    '/a@b',
    '/a b',
    '/a*',
  ].map((p) => host + p),
  ...['/é', '/a\\b', '/a\0', '/a\n', '/a\t', ' '].map((p) => host + p),
  'SPIFFE://example.org/a',
  'Spiffe://example.org/a',
  'spiffe://Example.org/a',
  'spiffe://ex%61mple.org/a',
  'spiffe://exämple.org/a',
  'spiffe://u@example.org/a',
  'spiffe://@example.org/a',
  'spiffe://[::1]/a',
  'spiffe://',
  'spiffe:///',
  'spiffe:///a',
  'spiffe:/example.org/a',
  'spiffe:example.org/a',
  '//example.org/a',
  'example.org/a',
  'https://example.org/a',
  '',
  ' spiffe://example.org/a',
  `spiffe://${'a'.repeat(256)}/a`,
  `${host}/${'a'.repeat(2048 - host.length)}`,
];

describe('parseSpiffeId', () => {
  it.each(ACCEPTED)('accepts %s', (text) => {
    const id = parseSpiffeId(text);
    expect(id).toBe(text);
    expect(`${trustDomainId(trustDomainOf(id))}${pathOf(id)}`).toBe(text);
  });

  it.each(REFUSED)('refuses %j', (text) => {
    expect(isSpiffeId(text)).toBe(false);
    expect(() => parseSpiffeId(text)).toThrow(SpiffeError);
  });

  it('ID-07 and ID-13: of all bytes, only the two sets pass', () => {
    for (let byte = 0; byte < 256; byte++) {
      const char = String.fromCharCode(byte);
      expect(isSpiffeId(`spiffe://a${char}/x`), `host ${byte}`).toBe(
        /[a-z0-9._-]/.test(char) || char === '/' ? char !== '/' : false,
      );
      expect(isSpiffeId(`spiffe://a/x${char}`), `path ${byte}`).toBe(/[a-zA-Z0-9._-]/.test(char));
    }
  });

  it('says what is wrong and where', () => {
    expect(() => parseSpiffeId('spiffe://example.org/a b')).toThrow(
      /character 23 \(U\+0020\) is not allowed in a path/,
    );
  });

  it('takes anything and throws nothing but SpiffeError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string().map((tail) => `spiffe://${tail}`),
        ),
        (text) => {
          try {
            expect(parseSpiffeId(text)).toBe(text);
          } catch (error) {
            expect(error).toBeInstanceOf(SpiffeError);
          }
        },
      ),
      { numRuns: Number(process.env['SIGIL_FUZZ_RUNS'] ?? 2_000) },
    );
  });

  it('a name of a megabyte costs nothing, and is not repeated in the message', () => {
    const started = performance.now();
    for (const text of [`spiffe://${'a'.repeat(1_000_000)}`, '/'.repeat(1_000_000)]) {
      expect(() => parseSpiffeId(text)).toThrow(SpiffeError);
      expect(() => parseTrustDomain(text)).toThrow(SpiffeError);
      try {
        parseSpiffeId(text);
      } catch (error) {
        expect((error as Error).message.length).toBeLessThan(400);
      }
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('misuse is a TypeError', () => {
    expect(() => parseSpiffeId(undefined as unknown as string)).toThrow(TypeError);
  });
});

describe('trust domains', () => {
  it('are read from a name or from an ID without a path', () => {
    expect(parseTrustDomain('example.org')).toBe('example.org');
    expect(parseTrustDomain('spiffe://example.org')).toBe('example.org');
  });

  it.each(['', 'Example.org', 'spiffe://example.org/x', 'example.org/x', 'example.org:1', 'https://a'])(
    'refuse %j',
    (text) => {
      expect(() => parseTrustDomain(text)).toThrow(SpiffeError);
    },
  );

  it('make IDs', () => {
    const trustDomain = parseTrustDomain('example.org');
    expect(spiffeIdOf(trustDomain, '/a/b')).toBe('spiffe://example.org/a/b');
    expect(isMemberOf(spiffeIdOf(trustDomain, '/a'), trustDomain)).toBe(true);
    expect(isMemberOf(parseSpiffeId('spiffe://example.org.evil/a'), trustDomain)).toBe(false);
    for (const path of ['a', '/', '/a/', '/.'])
      expect(() => spiffeIdOf(trustDomain, path)).toThrow(SpiffeError);
  });
});
