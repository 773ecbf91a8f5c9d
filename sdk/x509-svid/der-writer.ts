// Writes DER (X.690 10) by concatenation: each function returns one whole element.
import { SpiffeError } from '../error.ts';
import { Tag } from './der-reader.ts';

/** Joins byte strings. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** An element of the given tag around the given content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of content) length += part.length;
  const header = headerOf(tag, length);
  return concat([header, ...content]);
}

function headerOf(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  if (length < 0x100) return Uint8Array.of(tag, 0x81, length);
  if (length < 0x1_0000) return Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);
  return Uint8Array.of(tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

/** A SEQUENCE of whole elements. */
export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return element(Tag.sequence, ...content);
}

/** An OCTET STRING. */
export function octetString(...content: readonly Uint8Array[]): Uint8Array {
  return element(Tag.octetString, ...content);
}

/** A BIT STRING of whole bytes. */
export function bitString(content: Uint8Array): Uint8Array {
  return element(Tag.bitString, Uint8Array.of(0), content);
}

/** A BOOLEAN, in DER's one form of true and of false (X.690 11.1). */
export function boolean(value: boolean): Uint8Array {
  return Uint8Array.of(Tag.boolean, 1, value ? 0xff : 0);
}

/** A non-negative INTEGER from big-endian magnitude bytes. */
export function unsignedInteger(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const bytes = magnitude.subarray(start);
  return (bytes[0] ?? 0) & 0x80
    ? element(Tag.integer, Uint8Array.of(0), bytes)
    : element(Tag.integer, bytes.length === 0 ? Uint8Array.of(0) : bytes);
}

/** An OBJECT IDENTIFIER from dotted text. */
export function objectIdentifier(dotted: string): Uint8Array {
  const arcs = dotted.split('.').map(Number);
  const out: number[] = [];
  for (const arc of [arcs[0]! * 40 + arcs[1]!, ...arcs.slice(2)]) {
    const digits = [arc & 0x7f];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
      digits.unshift((rest & 0x7f) | 0x80);
    out.push(...digits);
  }
  return element(Tag.objectIdentifier, Uint8Array.from(out));
}

/** A time in the form that RFC 5280 4.1.2.5 asks for: UTCTime to 2049, GeneralizedTime from 2050. Seconds are floored. */
export function time(milliseconds: number): Uint8Array {
  const date = new Date(milliseconds);
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) {
    throw new SpiffeError('ERR_DER', `the year ${year} cannot be written in a certificate`);
  }
  const short = year < 2050;
  const length = short ? 13 : 15;
  const out = new Uint8Array(length + 2);
  out[0] = short ? Tag.utcTime : Tag.generalizedTime;
  out[1] = length;
  let at = 2;
  const two = (value: number) => {
    out[at++] = 0x30 + Math.floor(value / 10);
    out[at++] = 0x30 + (value % 10);
  };
  if (!short) two(Math.floor(year / 100));
  two(year % 100);
  two(date.getUTCMonth() + 1);
  two(date.getUTCDate());
  two(date.getUTCHours());
  two(date.getUTCMinutes());
  two(date.getUTCSeconds());
  out[at] = 0x5a;
  return out;
}

/** The bytes of ASCII text. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}
