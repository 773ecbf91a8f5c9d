import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { parseCertificate } from './certificate.ts';
import { readCsr } from './csr.ts';
import { DerReader, Tag } from './der-reader.ts';
import * as write from './der-writer.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('DerReader', () => {
  it.each([
    ['nothing', bytes()],
    ['a header alone', bytes(0x30)],
    ['a length that reaches past the end', bytes(0x30, 0x02, 0x00)],
    ['an indefinite length', bytes(0x30, 0x80, 0x00, 0x00)],
    ['a long form that could be short', bytes(0x30, 0x81, 0x01, 0x00)],
    ['a length with a leading zero', bytes(0x30, 0x82, 0x00, 0x81, ...Array.from({ length: 0x81 }, () => 0))],
    ['a length of five bytes', bytes(0x30, 0x85, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00)],
    ['a length that ends early', bytes(0x30, 0x82, 0x01)],
    ['a tag of two bytes', bytes(0x3f, 0x81, 0x00)],
    ['bytes left over', bytes(0x30, 0x00, 0x00)],
  ])('refuses %s', (_, input) => {
    expect(() => DerReader.document(input, Tag.sequence)).toThrow(SpiffeError);
  });

  it('refuses integers and booleans that are not in their one form', () => {
    for (const input of [bytes(2, 0), bytes(2, 2, 0, 1), bytes(2, 2, 0xff, 0xff)]) {
      expect(() => new DerReader(input).readInteger()).toThrow(SpiffeError);
    }
    for (const input of [bytes(1, 1, 1), bytes(1, 2, 0, 0), bytes(1, 0)]) {
      expect(() => new DerReader(input).readBoolean()).toThrow(SpiffeError);
    }
  });

  it('reads back what the writer writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (content) => {
        const reader = DerReader.document(write.sequence(write.octetString(content)), Tag.sequence);
        expect(reader.contentOf(reader.read(Tag.octetString))).toEqual(content);
        reader.expectEnd();
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1950, 0), max: Date.UTC(2200, 0) }), (time) => {
        expect(new DerReader(write.time(time)).readTime()).toBe(Math.floor(time / 1_000) * 1_000);
      }),
    );
    for (const oid of ['2.5.29.17', '1.2.840.113549.1.1.11', '1.3.6.1.5.5.7.3.1', '2.999.3']) {
      expect(new DerReader(write.objectIdentifier(oid)).readObjectIdentifier()).toBe(oid);
    }
  });

  it('refuses times that do not exist', () => {
    for (const text of [
      '260230000000Z',
      '261301000000Z',
      '260101240000Z',
      '2601010000Z',
      '260101000000+0000',
    ]) {
      expect(() => new DerReader(write.element(Tag.utcTime, write.ascii(text))).readTime()).toThrow(
        SpiffeError,
      );
    }
  });

  it('any bytes, as certificate or CSR, fail with SpiffeError and nothing else', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.uint8Array({ maxLength: 400 }).map((content) => write.sequence(write.sequence(content), content)),
    );
    fc.assert(
      fc.property(hostile, (input) => {
        for (const parse of [parseCertificate, readCsr]) expect(() => parse(input)).toThrow(SpiffeError);
      }),
      { numRuns: 2_000 },
    );
  });

  it('deep nesting costs linear time', () => {
    let nested = bytes();
    for (let depth = 0; depth < 5_000; depth++) nested = write.sequence(nested) as typeof nested;
    const started = performance.now();
    expect(() => parseCertificate(nested)).toThrow(SpiffeError);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
