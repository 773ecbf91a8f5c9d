import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { isJsonObject, parseJson, parseJsonObject } from './parse.ts';
import { stringifyJson } from './stringify.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

// JSON.parse is the oracle wherever it is not the trap.
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

describe('parseJson', () => {
  it('reads what JSON.parse reads, also with space and escapes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        fc.pre(text.isWellFormed() && !/\\ud[89a-f]/.test(text));
        expect(plain(parseJson(text))).toEqual(JSON.parse(text));
        expect(plain(parseJson(bytes(text)))).toEqual(JSON.parse(text));
      }),
      { numRuns: 1_000 },
    );
    expect(parseJson(String.raw`"\u00e9\n\"\\\/\b\f\r\t\ud83d\ude00"`)).toBe('é\n"\\/\b\f\r\t😀');
  });

  it.each([
    '',
    ' ',
    '{',
    '[',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    '{"a" 1}',
    '{"a":1 "b":2}',
    '[1 2]',
    '01',
    '1.',
    '.1',
    '+1',
    '-',
    '1e',
    '1e+',
    '0x1',
    'NaN',
    'Infinity',
    'tru',
    'nul',
    'True',
    '"',
    '"\\"',
    '"\\x"',
    '"\\u12"',
    '"\\u12g4"',
    '"a\nb"',
    '"\u0000"',
    '{}{}',
    '{} x',
    '\ufeff{}',
    '1e999',
    '-1e999',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\ud800"',
    '/**/1',
    '[1]]',
  ])('refuses %j', (text) => {
    expect(() => parseJson(text)).toThrow(SpiffeError);
  });

  it('refuses duplicate members, however they are spelt', () => {
    for (const text of ['{"a":1,"a":1}', String.raw`{"alg":1,"\u0061lg":2}`, '[{"x":{"b":1,"c":2,"b":3}}]']) {
      expect(() => parseJson(text)).toThrow(/twice/);
    }
  });

  it('refuses bytes that are not UTF-8, and a byte-order mark', () => {
    for (const input of [
      Uint8Array.of(0x22, 0xff, 0x22),
      Uint8Array.of(0x22, 0xc0, 0x80, 0x22),
      Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
      Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d),
      Uint8Array.of(0x7b, 0, 0x7d, 0),
    ]) {
      expect(() => parseJson(input)).toThrow(SpiffeError);
    }
  });

  it('keeps integers exact where asked, and tells them from other numbers', () => {
    for (const literal of ['9007199254740993', '9223372036854775808', '18446744073709551616', '-1', '0']) {
      expect(parseJson(literal, { integers: 'exact' })).toBe(BigInt(literal));
    }
    for (const literal of ['1e3', '1.0', '1E+2'])
      expect(typeof parseJson(literal, { integers: 'exact' })).toBe('number');
    expect(parseJson('12')).toBe(12);
  });

  it('bounds depth, size and the length of numbers', () => {
    expect(() => parseJson('[[[1]]]', { maxDepth: 2 })).toThrow(/deeper/);
    expect(parseJson('[[1]]', { maxDepth: 2 })).toEqual([[1]]);
    expect(() => parseJson('[1,2,3]', { maxBytes: 6 })).toThrow(/larger/);
    expect(() => parseJson('9'.repeat(65), { integers: 'exact' })).toThrow(/64 characters/);
    expect(() => parseJson('1', { maxDepth: 1_000 })).toThrow(TypeError);
  });

  it('objects have no prototype, and nothing is polluted', () => {
    const value = parseJsonObject('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(isJsonObject(value['__proto__'])).toBe(true);
    expect(parseJsonObject('{}')['toString']).toBeUndefined();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(() => parseJson('{"__proto__":1,"__proto__":2}')).toThrow(/twice/);
  });

  it('fails on anything with SpiffeError and nothing else', () => {
    const pieces = fc.constantFrom(
      ...'{}[],:"\\ \n0123456789eE+-.tfnul'.split(''),
      'true',
      'null',
      '"a"',
      '\\u',
      '{"a":',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.uint8Array(),
          fc.array(pieces).map((list) => list.join('')),
        ),
        (input) => {
          let ours: unknown = SpiffeError;
          try {
            ours = parseJson(input);
          } catch (error) {
            expect(error).toBeInstanceOf(SpiffeError);
          }
          if (typeof input === 'string' && ours !== SpiffeError)
            expect(plain(ours)).toEqual(plain(JSON.parse(input)));
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ['a string of a megabyte', `"${'a'.repeat(1_000_000)}"`],
    ['a megabyte of escapes', `"${'\\n'.repeat(500_000)}"`],
    ['a string that never ends', `"${'a'.repeat(1_000_000)}`],
    ['a megabyte of brackets', '['.repeat(1_000_000)],
    ['a megabyte of digits', '9'.repeat(1_000_000)],
    ['a member name of a megabyte', `{"${'k'.repeat(1_000_000)}":1}`],
    ['many members', `{${Array.from({ length: 90_000 }, (_, index) => `"k${index}":1`).join(',')}}`],
    [
      'many numeric members',
      `{${Array.from({ length: 60_000 }, (_, index) => `"${index * 65_537}":1`).join(',')}}`,
    ],
    ['a megabyte of space', ' '.repeat(1_000_000)],
    ['many surrogates', `"${'😀'.repeat(250_000)}"`],
  ])('takes linear time for %s', (_, text) => {
    const started = performance.now();
    try {
      parseJson(text, { integers: 'exact' });
    } catch (error) {
      expect(error).toBeInstanceOf(SpiffeError);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('stringifyJson', () => {
  it('writes bigints as integers and leaves undefined members out', () => {
    expect(stringifyJson({ a: 9223372036854775808n, b: undefined, c: [1, null, 'x"'] })).toBe(
      '{"a":9223372036854775808,"c":[1,null,"x\\""]}',
    );
    expect(() => stringifyJson(Number.NaN)).toThrow(TypeError);
  });

  it('is read back as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        fc.pre(text.isWellFormed() && !/\\ud[89a-f]/.test(text));
        const parsed = parseJson(text, { maxDepth: 64 });
        expect(plain(parseJson(stringifyJson(parsed), { maxDepth: 64 }))).toEqual(plain(parsed));
      }),
    );
  });
});
