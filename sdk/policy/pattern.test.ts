import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matches, parsePattern, type Pattern } from './pattern.ts';

function pattern(text: string): Pattern {
  const parsed = parsePattern(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

describe('patterns', () => {
  it.each([
    ['/orders', ['/orders'], ['/', '/orders/', '/orders-admin', '/order', '/Orders', '/orders/1', '']],
    ['/orders/*', ['/orders/1', '/orders/a.b'], ['/orders', '/orders/', '/orders/1/2', '/other/1']],
    [
      '/orders/**',
      ['/orders', '/orders/', '/orders/1', '/orders/1/2/'],
      ['/orders-admin', '/order', '/x/orders'],
    ],
    ['/*/admin', ['/a/admin'], ['/admin', '//admin', '/a/b/admin', '/a/admin/']],
    ['/**', ['', '/', '/a', '/a/b'], []],
    ['/', ['/'], ['', '/a']],
    ['/a/', ['/a/'], ['/a', '/a/b']],
    ['', [''], ['/', '/a']],
  ])('%s', (text, yes, no) => {
    for (const path of yes) expect([path, matches(pattern(text), path)]).toEqual([path, true]);
    for (const path of no) expect([path, matches(pattern(text), path)]).toEqual([path, false]);
  });

  it.each(['a', '/a*', '/**/a', '/a/**b', '/***', '//', '/a//b', '/a//**'])('%s is none', (text) => {
    expect(parsePattern(text)).toBeTypeOf('string');
  });

  const segment = fc.constantFrom('a', 'b', 'ab', '*');
  const anyPattern = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
    .map(([segments, open]) => `/${[...segments, ...(open ? ['**'] : [])].join('/')}`);
  const anyPath = fc
    .array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`);

  it('agree with a regular expression made the obvious way', () => {
    fc.assert(
      fc.property(anyPattern, anyPath, (text, path) => {
        const source = text
          .slice(1)
          .split('/')
          .map((part) => (part === '**' ? '(/.*)?' : part === '*' ? '/[^/]+' : `/${part}`))
          .join('');
        expect(matches(pattern(text), path)).toBe(new RegExp(`^${source}$`).test(path));
      }),
      { numRuns: 5_000 },
    );
  });
});
