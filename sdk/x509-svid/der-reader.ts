// A strict, bounded reader of DER (X.690 10), for what a peer may send: definite lengths only, shortest form only,
// nothing past the end, no recursion of its own. Offsets in errors count from the start of the outermost value.
import { SpiffeError } from '../error.ts';

/** Tags used by X.509 and PKCS#10. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element: its tag, and where its header and its content lie in the bytes. */
export interface DerElement {
  readonly tag: number;
  /** Offset of the tag byte. */
  readonly start: number;
  /** Offset of the first content byte. */
  readonly content: number;
  /** Offset after the last content byte. */
  readonly end: number;
}

/** Reads elements one after the other from a range of bytes. */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** A reader of a whole document that must be one element with nothing after it. */
  static document(bytes: Uint8Array, tag: number): DerReader {
    const outer = new DerReader(bytes);
    const inside = outer.enter(tag);
    outer.expectEnd();
    return inside;
  }

  get atEnd(): boolean {
    return this.#offset >= this.#end;
  }

  /** The tag of the next element, or undefined at the end. */
  peekTag(): number | undefined {
    return this.atEnd ? undefined : this.bytes[this.#offset];
  }

  /** Reads the next element, of the given tag if one is given. */
  read(tag?: number): DerElement {
    const start = this.#offset;
    const found = this.bytes[start];
    if (found === undefined || start >= this.#end) throw this.#error(start, 'ends too early');
    if (tag !== undefined && found !== tag) {
      throw this.#error(start, `has tag 0x${found.toString(16)} where 0x${tag.toString(16)} must be`);
    }
    if ((found & 0x1f) === 0x1f) throw this.#error(start, 'has a tag of more than one byte');
    const content = this.#readLength(start + 1);
    const end = content.offset + content.length;
    if (end > this.#end) throw this.#error(start, 'has a length that reaches past the end');
    this.#offset = end;
    return { tag: found, start, content: content.offset, end };
  }

  /** Reads the next element only if it has the given tag. */
  readOptional(tag: number): DerElement | undefined {
    return this.peekTag() === tag ? this.read(tag) : undefined;
  }

  /** Reads the next element and returns a reader of its content. */
  enter(tag: number): DerReader {
    const element = this.read(tag);
    return this.inside(element);
  }

  /** A reader of an element's content. */
  inside(element: DerElement): DerReader {
    return new DerReader(this.bytes, element.content, element.end);
  }

  /** The content bytes of an element (a view, not a copy). */
  contentOf(element: DerElement): Uint8Array {
    return this.bytes.subarray(element.content, element.end);
  }

  /** The whole element with its header (a view, not a copy). */
  wholeOf(element: DerElement): Uint8Array {
    return this.bytes.subarray(element.start, element.end);
  }

  /** Fails unless everything has been read. */
  expectEnd(): void {
    if (!this.atEnd) throw this.#error(this.#offset, 'has bytes left over');
  }

  /** Reads a BOOLEAN; DER allows 0x00 and 0xff only (X.690 11.1). */
  readBoolean(): boolean {
    const element = this.read(Tag.boolean);
    const value = this.bytes[element.content];
    if (element.end - element.content !== 1 || (value !== 0 && value !== 0xff)) {
      throw this.#error(element.start, 'has a BOOLEAN that is not DER');
    }
    return value === 0xff;
  }

  /** Reads an INTEGER and returns its content bytes, shortest form enforced (X.690 8.3.2). */
  readInteger(tag: number = Tag.integer): Uint8Array {
    const element = this.read(tag);
    const content = this.contentOf(element);
    const [first, second] = content;
    if (first === undefined) throw this.#error(element.start, 'has an empty INTEGER');
    if (
      second !== undefined &&
      ((first === 0 && (second & 0x80) === 0) || (first === 0xff && (second & 0x80) !== 0))
    ) {
      throw this.#error(element.start, 'has an INTEGER that is not in its shortest form');
    }
    return content;
  }

  /** Reads a non-negative INTEGER of at most 4 bytes. */
  readSmallInteger(): number {
    const at = this.#offset;
    const content = this.readInteger();
    if (content.length > 4 || (content[0]! & 0x80) !== 0)
      throw this.#error(at, 'has an INTEGER out of range');
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** Reads a BIT STRING of whole bytes (keys, signatures). */
  readOctetAlignedBits(): Uint8Array {
    const element = this.read(Tag.bitString);
    const content = this.contentOf(element);
    if (content.length === 0 || content[0] !== 0) {
      throw this.#error(element.start, 'has a BIT STRING that is not made of whole bytes');
    }
    return content.subarray(1);
  }

  /** Reads an OBJECT IDENTIFIER as dotted text. */
  readObjectIdentifier(): string {
    const element = this.read(Tag.objectIdentifier);
    const content = this.contentOf(element);
    if (content.length === 0 || content.length > 32 || (content.at(-1)! & 0x80) !== 0) {
      throw this.#error(element.start, 'has an OBJECT IDENTIFIER of bad length');
    }
    const arcs: number[] = [];
    let arc = 0;
    let fresh = true;
    for (const byte of content) {
      if (fresh && byte === 0x80)
        throw this.#error(element.start, 'has an OBJECT IDENTIFIER with leading zeros');
      arc = arc * 128 + (byte & 0x7f);
      if (arc > 0xffff_ffff) throw this.#error(element.start, 'has an OBJECT IDENTIFIER out of range');
      fresh = (byte & 0x80) === 0;
      if (!fresh) continue;
      if (arcs.length === 0) {
        const first = Math.min(2, Math.floor(arc / 40));
        arcs.push(first, arc - first * 40);
      } else arcs.push(arc);
      arc = 0;
    }
    return arcs.join('.');
  }

  /** Reads a UTCTime or GeneralizedTime in the form of RFC 5280 4.1.2.5; milliseconds since 1970. */
  readTime(): number {
    const element = this.read();
    const text = String.fromCharCode(...this.contentOf(element).subarray(0, 16));
    const pattern =
      element.tag === Tag.utcTime
        ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
        : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
    const match =
      element.tag === Tag.utcTime || element.tag === Tag.generalizedTime ? pattern.exec(text) : null;
    if (match === null || element.end - element.content !== text.length) {
      throw this.#error(element.start, 'has a time that is not in the form of RFC 5280 4.1.2.5');
    }
    const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const full = element.tag === Tag.utcTime ? (year < 50 ? 2000 + year : 1900 + year) : year;
    const date = new Date(0);
    date.setUTCFullYear(full, month - 1, day);
    date.setUTCHours(hour, minute, second, 0);
    if (
      date.getUTCFullYear() !== full ||
      date.getUTCMonth() !== month - 1 ||
      date.getUTCDate() !== day ||
      date.getUTCHours() !== hour ||
      date.getUTCMinutes() !== minute ||
      date.getUTCSeconds() !== second
    ) {
      throw this.#error(element.start, 'has a time that does not exist');
    }
    return date.getTime();
  }

  // Short form below 128; above, at most four bytes and no leading zero: indefinite length is not DER (X.690 10.1).
  #readLength(at: number): { offset: number; length: number } {
    const first = this.bytes[at];
    if (first === undefined || at >= this.#end) throw this.#error(at, 'ends too early');
    if (first < 0x80) return { offset: at + 1, length: first };
    const count = first & 0x7f;
    if (count === 0) throw this.#error(at, 'has an indefinite length');
    if (count > 4) throw this.#error(at, 'has a length of more than four bytes');
    if (at + 1 + count > this.#end) throw this.#error(at, 'ends too early');
    let length = 0;
    for (let index = 1; index <= count; index++) length = length * 256 + this.bytes[at + index]!;
    if (length < 0x80 || this.bytes[at + 1] === 0)
      throw this.#error(at, 'has a length that is not in its shortest form');
    return { offset: at + 1 + count, length };
  }

  #error(offset: number, problem: string): SpiffeError {
    return new SpiffeError('ERR_DER', `the DER at byte ${offset} ${problem}`, { detail: { offset } });
  }
}
