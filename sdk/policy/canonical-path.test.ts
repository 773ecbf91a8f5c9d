import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalPath, isRefusal } from './canonical-path.ts';

describe('canonicalPath', () => {
  it.each([
    ['/', '/', ''],
    ['/orders/1', '/orders/1', ''],
    ['/orders/', '/orders/', ''],
    ['/orders?x=/../%2f;y', '/orders', '?x=/../%2f;y'],
    ['/a?', '/a', '?'],
    ["/a-._~!$&'()*+,=:@b", "/a-._~!$&'()*+,=:@b", ''],
    ['/caf%c3%a9', '/caf%C3%A9', ''],
    ['/a%20b', '/a%20b', ''],
    ['/100%25', '/100%25', ''],
    ['/.well-known/x', '/.well-known/x', ''],
    ['/...', '/...', ''],
  ])('keeps %s', (raw, path, query) => {
    expect(canonicalPath(raw)).toEqual({ path, query });
  });

  it.each([
    '',
    '*',
    'orders',
    'http://h/admin',
    '//admin',
    '/a//b',
    '/public/../admin',
    '/public/..',
    '/./admin',
    '/.',
    '/pub/%2e%2e/admin',
    '/pub/%2E./admin',
    '/%2e',
    '/a%2f..%2fadmin',
    '/a%2F..%2Fadmin',
    '/admin%5c',
    '/admin%5C..',
    '/a\\admin',
    '/admin;x=1/',
    '/a/..;/admin',
    '/.;/admin',
    '/admin%3bx',
    '/admin#x',
    '/admin%23',
    '/admin%3F/..',
    '/a?b#c',
    '/%00',
    '/a%0d%0ab',
    '/a%7f',
    '/%61dmin',
    '/%41',
    '/%7e',
    '/%252e%252e/admin',
    '/a%252fb',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a%u002f',
    '/%c0%af',
    '/%ff',
    '/%c3',
    '/%ed%a0%80',
    '/a b',
    '/a\tb',
    '/a\0b',
    '/caf\u00e9',
    '/a?caf\u00e9',
    '/a?b c',
    '/a"b',
    '/a<b',
    '/a[b]',
    '/a|b',
    '/{a}',
    '/a^b',
    '/a`b',
  ])('refuses %j', (raw) => {
    const result = canonicalPath(raw);
    expect(isRefusal(result)).toBe(true);
  });

  it('names what it refuses', () => {
    expect(canonicalPath('/a%2fb')).toEqual({
      refusal: '%2f in the path: an encoded / means structure to some servers',
    });
    expect(canonicalPath('/a\nb')).toEqual({
      refusal: 'the path holds byte 10, which must be percent-encoded or is ambiguous',
    });
  });

  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%',
    '%2',
    '%2f',
    '%2E',
    '%25',
    '%C3%A9',
    'a',
    ';',
    '\\',
    '?',
    '#',
    '\0',
    'é',
    '*',
  );
  const target = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc
      .array(fc.stringMatching(/^[A-Za-z0-9._~-]{1,8}$/), { maxLength: 5 })
      .map((parts) => `/${parts.join('/')}`),
  );

  it('is stable: what it gives, it takes and gives again', () => {
    fc.assert(
      fc.property(target, (raw) => {
        const result = canonicalPath(raw);
        if (isRefusal(result)) return;
        expect(canonicalPath(result.path + result.query)).toEqual(result);
      }),
      { numRuns: 5_000 },
    );
  });

  it('leaves nothing that another server could read differently', () => {
    fc.assert(
      fc.property(target, (raw) => {
        const result = canonicalPath(raw);
        if (isRefusal(result)) return;
        // A URL parser, which normalises and decodes dot segments, finds nothing to change.
        expect(new URL(`http://h${result.path}`).pathname).toBe(result.path);
        const decoded = decodeURIComponent(result.path);
        expect(decoded.split('/').length).toBe(result.path.split('/').length);
        expect(decoded).not.toMatch(/[\0\\;#?]|\/\.{1,2}(\/|$)|\/\//);
        // Decoding twice finds no new structure.
        expect(decoded).not.toMatch(/%[0-9A-Fa-f]{2}/);
        expect(result.path).not.toMatch(/%[0-9A-F]?[a-f]/);
      }),
      { numRuns: 5_000 },
    );
  });
});
