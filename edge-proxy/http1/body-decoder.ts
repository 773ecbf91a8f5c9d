// Takes a body out of its framing (RFC 9112 6 and 7), byte by byte where it decides and in whole pieces where it does not.
import { HttpError } from './error.ts';
import { isTrailerField, parseFields, type Fields } from './fields.ts';
import type { Framing } from './framing.ts';
import { HeadReader } from './head-reader.ts';
import { MAX_CHUNK_LINE } from './limits.ts';

/** Reads one body. */
export interface BodyDecoder {
  /** Whether the body is complete. */
  readonly done: boolean;
  /** The trailer fields that may be forwarded. */
  readonly trailers: Fields;
  /**
   * Takes bytes, hands the body's own to `onData`, and returns how many it used: fewer than all only when done.
   *
   * @throws HttpError 400.
   */
  decode(bytes: Uint8Array, onData: (piece: Uint8Array) => void): number;
}

/** A decoder for a framing. */
export function createBodyDecoder(framing: Framing): BodyDecoder {
  switch (framing.kind) {
    case 'none':
      return new LengthDecoder(0);
    case 'length':
      return new LengthDecoder(framing.length);
    case 'close':
      return new LengthDecoder(Number.POSITIVE_INFINITY);
    case 'chunked':
      return new ChunkedDecoder();
  }
}

class LengthDecoder implements BodyDecoder {
  readonly trailers: Fields = [];
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  decode(bytes: Uint8Array, onData: (piece: Uint8Array) => void): number {
    const used = Math.min(bytes.length, this.#left);
    if (used > 0) {
      this.#left -= used;
      onData(used === bytes.length ? bytes : bytes.subarray(0, used));
    }
    return used;
  }
}

const CR = 0x0d;
const LF = 0x0a;
type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'done';

class ChunkedDecoder implements BodyDecoder {
  trailers: Fields = [];
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #line = 0;
  #trailerReader: HeadReader | undefined;

  get done(): boolean {
    return this.#state === 'done';
  }

  decode(bytes: Uint8Array, onData: (piece: Uint8Array) => void): number {
    let at = 0;
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const piece = bytes.subarray(at, at + Math.min(this.#size, bytes.length - at));
        at += piece.length;
        this.#size -= piece.length;
        if (this.#size === 0) this.#state = 'data-cr';
        onData(piece);
      } else if (this.#state === 'trailers') {
        return bytes.length - this.#readTrailers(bytes.subarray(at));
      } else {
        this.#step(bytes[at++]!);
      }
    }
    return at;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#stepSize(byte);
        return;
      case 'extension':
        // Ignored, as RFC 9112 7.1.1 asks, but no control character hides in it.
        if (byte === CR) this.#state = 'size-lf';
        else if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f)
          throw broken('a chunk extension holds a control character');
        this.#countLine();
        return;
      case 'size-lf':
        if (byte !== LF) throw broken('a chunk size ends without LF');
        this.#state = this.#size === 0 ? 'trailers' : 'data';
        this.#digits = this.#line = 0;
        return;
      case 'data-cr':
        if (byte !== CR) throw broken('a chunk is longer than its size');
        this.#state = 'data-lf';
        return;
      case 'data-lf':
        if (byte !== LF) throw broken('a chunk ends without LF');
        this.#state = 'size';
        return;
      case 'data':
      case 'trailers':
      case 'done':
    }
  }

  #stepSize(byte: number): void {
    this.#countLine();
    const digit = hexDigit(byte);
    if (digit !== -1) {
      // Twelve digits are 281 TB: no honest sender needs more, and the number stays exact.
      if (++this.#digits > 12) throw broken('a chunk size has too many digits');
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw broken('a chunk size is missing');
    if (byte === CR) this.#state = 'size-lf';
    else if (byte === 0x3b) this.#state = 'extension';
    else throw broken('a chunk size holds something else than hexadecimal digits');
  }

  #countLine(): void {
    if (++this.#line > MAX_CHUNK_LINE)
      throw broken(`a chunk extension is longer than ${MAX_CHUNK_LINE} bytes`);
  }

  // Returns the number of bytes left over.
  #readTrailers(bytes: Uint8Array): number {
    this.#trailerReader ??= new HeadReader();
    const section = this.#trailerReader.push(bytes);
    if (section === undefined) return 0;
    const lines = section.text === '' ? [] : section.text.split('\r\n');
    this.trailers = parseFields(lines).filter(([name]) => isTrailerField(name));
    this.#state = 'done';
    return section.rest.length;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function broken(problem: string): HttpError {
  return new HttpError(400, `${problem} (RFC 9112 7.1)`);
}
