// Writes DER back to front into one buffer: when an element's header is written, its length is known, so nothing is
// copied twice. For the hot path of issuing; der-writer.ts is the plain way.
import { SpiffeError } from '../error.ts';
import { Tag } from './der-reader.ts';

/** A buffer that fills from its end to its beginning. Last things are written first. */
export class DerBuilder {
  #bytes: Uint8Array<ArrayBuffer>;
  #at: number;

  /** @param capacity Bytes to begin with; it grows. */
  constructor(capacity = 2048) {
    this.#bytes = new Uint8Array(capacity);
    this.#at = capacity;
  }

  /** How many bytes there are. Taken before the content of an element is written, it is the `mark` of its header. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** Puts bytes before everything written so far. */
  put(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#at -= bytes.length;
    this.#bytes.set(bytes, this.#at);
  }

  /** Puts one byte. */
  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[--this.#at] = value;
  }

  /** Makes an element of everything written since `mark`. */
  close(tag: number, mark: number): void {
    const length = this.length - mark;
    if (length >= 0x100_0000) throw new RangeError('an element of more than 16 MiB');
    this.#reserve(5);
    const bytes = this.#bytes;
    if (length < 0x80) bytes[--this.#at] = length;
    else {
      let count = 0;
      for (let rest = length; rest > 0; rest >>>= 8, count++) bytes[--this.#at] = rest & 0xff;
      bytes[--this.#at] = 0x80 | count;
    }
    bytes[--this.#at] = tag;
  }

  /**
   * Puts an IA5String's characters under a tag.
   *
   * @throws SpiffeError `ERR_DER` for a character that ASCII does not have.
   */
  ascii(tag: number, text: string): void {
    const mark = this.length;
    this.#reserve(text.length);
    for (let index = text.length - 1; index >= 0; index--) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) throw new SpiffeError('ERR_DER', `character ${index + 1} of a name is not ASCII`);
      this.#bytes[--this.#at] = code;
    }
    this.close(tag, mark);
  }

  /** Puts a non-negative INTEGER of big-endian magnitude bytes. */
  unsignedInteger(magnitude: Uint8Array): void {
    const mark = this.length;
    let start = 0;
    while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
    this.put(magnitude.subarray(start));
    if (magnitude.length === 0 || (magnitude[start]! & 0x80) !== 0) this.byte(0);
    this.close(Tag.integer, mark);
  }

  /** A copy of what was written; the builder is empty afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    const out = this.#bytes.slice(this.#at);
    this.clear();
    return out;
  }

  /** Forgets what was written. */
  clear(): void {
    this.#at = this.#bytes.length;
  }

  #reserve(count: number): void {
    if (this.#at >= count) return;
    const { length } = this;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, length + count));
    grown.set(this.#bytes.subarray(this.#at), grown.length - length);
    this.#at = grown.length - length;
    this.#bytes = grown;
  }
}
