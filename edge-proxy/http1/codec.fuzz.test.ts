// Whatever comes, in whatever pieces: the same result, or the codec's own error.
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBodyDecoder } from './body-decoder.ts';
import { HttpError } from './error.ts';
import type { Framing } from './framing.ts';
import { HeadReader } from './head-reader.ts';
import { parseRequestHead } from './request.ts';
import { parseResponseHead } from './response.ts';
import { chunk, lastChunk, requestHead } from './serialize.ts';

const LIMITS = { line: 64, head: 200, fields: 100 };

const fragment = fc.constantFrom(
  'GET / HTTP/1.1\r\n',
  'HTTP/1.1 200 OK\r\n',
  'Host: h\r\n',
  '\r\n',
  '\r',
  '\n',
  ' ',
  ':',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 3\r\n',
  'A: b\r\n',
  '\0',
  '0',
  '3',
  'a',
  ';x',
  'abc',
  '0\r\n\r\n',
  '3\r\nabc\r\n',
  'x'.repeat(70),
  '\xff',
);
const bytes = fc
  .oneof(
    {
      weight: 4,
      arbitrary: fc.array(fragment, { maxLength: 14 }).map((parts) => Buffer.from(parts.join(''), 'latin1')),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)) },
  )
  .map((buffer) => new Uint8Array(buffer));
const cuts = fc.array(fc.nat(300), { maxLength: 8 });

function pieces(whole: Uint8Array, at: readonly number[]): Uint8Array[] {
  const sorted = [0, ...at.filter((cut) => cut < whole.length).toSorted((a, b) => a - b), whole.length];
  // Copies: a parser must not lean on what lies beside its piece.
  return sorted.slice(1).map((end, index) => whole.slice(sorted[index], end));
}

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(HttpError);
    return { refused: (error as HttpError).status, why: (error as HttpError).message };
  }
}

function readHead(parts: readonly Uint8Array[], parse: (text: string) => unknown): unknown {
  return outcome(() => {
    const reader = new HeadReader(LIMITS);
    for (const [index, part] of parts.entries()) {
      const head = reader.push(part);
      if (head === undefined) continue;
      const rest = Buffer.concat([head.rest, ...parts.slice(index + 1)]).toString('latin1');
      return { head: parse(head.text), rest };
    }
    return { started: reader.started };
  });
}

function readBody(framing: Framing, parts: readonly Uint8Array[]): unknown {
  const out: Uint8Array[] = [];
  const result = outcome(() => {
    const decoder = createBodyDecoder(framing);
    let rest = '';
    for (const part of parts) {
      const used = decoder.done ? 0 : decoder.decode(part, (piece) => out.push(piece.slice()));
      if (used < part.length) expect(decoder.done).toBe(true);
      rest += Buffer.from(part.subarray(used)).toString('latin1');
    }
    return { done: decoder.done, trailers: decoder.trailers, rest };
  });
  return { result, body: Buffer.concat(out).toString('latin1') };
}

describe('in any pieces', () => {
  it.each([
    ['request heads', parseRequestHead],
    ['response heads', (text: string) => parseResponseHead(text, 'GET')],
  ])('%s', (_name, parse) => {
    fc.assert(
      fc.property(bytes, cuts, (whole, at) => {
        const once = readHead([whole], parse);
        expect(readHead(pieces(whole, at), parse)).toEqual(once);
        expect(readHead(pieces(whole, Array.from(whole.keys())), parse)).toEqual(once);
      }),
      { numRuns: 4_000 },
    );
  });

  it('bodies', () => {
    const framing = fc.constantFrom<Framing>(
      { kind: 'chunked' },
      { kind: 'length', length: 5 },
      { kind: 'close' },
    );
    fc.assert(
      fc.property(framing, bytes, cuts, (kind, whole, at) => {
        const once = readBody(kind, [whole]);
        expect(readBody(kind, pieces(whole, at))).toEqual(once);
        expect(readBody(kind, pieces(whole, Array.from(whole.keys())))).toEqual(once);
      }),
      { numRuns: 4_000 },
    );
  });
});

describe('what is written is read again', () => {
  it('chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 })), cuts, (parts, at) => {
        const wire = Buffer.concat([...parts.map(chunk), lastChunk([['x-sum', '1']])]);
        expect(readBody({ kind: 'chunked' }, pieces(new Uint8Array(wire), at))).toEqual({
          result: { done: true, trailers: [['x-sum', '1']], rest: '' },
          body: Buffer.concat(parts).toString('latin1'),
        });
      }),
    );
  });

  it('request heads: what was accepted means the same to the next reader', () => {
    fc.assert(
      fc.property(bytes, (whole) => {
        const read = readHead([whole], parseRequestHead) as { head?: ReturnType<typeof parseRequestHead> };
        if (read.head === undefined) return;
        const { head } = read;
        const fields = head.fields.filter(
          ([name]) => !['host', 'content-length', 'transfer-encoding'].includes(name),
        );
        const again = readHead([requestHead({ ...head, fields })], parseRequestHead) as typeof read;
        expect({ ...again.head!, fields: [] }).toEqual({ ...head, fields: [] });
      }),
      { numRuns: 4_000 },
    );
  });

  it('never a field that would be another field or a body', () => {
    const base = { method: 'GET', target: '/', host: 'h', framing: { kind: 'none' } } as const;
    for (const field of [
      ['a\r\nb', 'c'],
      ['a', 'b\r\nc: d'],
      ['a b', 'c'],
      ['', 'c'],
      ['a', 'b\nc'],
      ['a', '\u0100'],
    ] as const) {
      expect(() => requestHead({ ...base, fields: [field] })).toThrow(TypeError);
    }
  });
});

describe('chunks', () => {
  const refusedBody = (text: string) => readBody({ kind: 'chunked' }, [Buffer.from(text, 'latin1')]);
  it.each([
    '\r\n',
    'x\r\n',
    ' 3\r\nabc\r\n',
    '3 \r\nabc\r\n',
    '+3\r\nabc\r\n',
    '0x3\r\nabc\r\n',
    '-1\r\n',
    '3\nabc\r\n',
    '3\rabc',
    '3\r\nabcd\r\n',
    '3\r\nabc\n0\r\n\r\n',
    '3;a\nb\r\nabc\r\n',
    '3;a\0\r\nabc\r\n',
    `3;${'a'.repeat(300)}\r\nabc\r\n`,
    '1234567890123\r\n',
    '0\r\nA : b\r\n\r\n',
    '0\r\n A: b\r\n\r\n',
    '0\r\nA: b\n\r\n',
  ])('refuses %j', (text) => {
    expect(refusedBody(text)).toMatchObject({ result: { refused: 400 } });
  });

  it('drop trailer fields that would change the message, or say who sent it', () => {
    const wire =
      '0\r\nContent-Length: 5\r\nHost: x\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\nX-Sum: 1\r\n' +
      'X-Spiffe-Id: spiffe://x/y\r\nX_Spiffe_Id: y\r\nX-Forwarded-Client-Cert: y\r\nClient-Cert: y\r\n\r\nrest';
    expect(refusedBody(wire)).toEqual({
      result: { done: true, trailers: [['x-sum', '1']], rest: 'rest' },
      body: '',
    });
  });
});
