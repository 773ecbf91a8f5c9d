// Finds the end of a message head in bytes that arrive in pieces. Every line ends with CRLF: a lone LF is refused at once
// (RFC 9112 2.2 lets a recipient take it; a proxy that does frames messages differently from one that does not).
import { Buffer } from 'node:buffer';
import { HttpError } from './error.ts';
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from './limits.ts';

const LF = 0x0a;
const CR = 0x0d;

/** A head, without the empty line that ends it, as Latin-1 text; and the bytes after it. */
export interface ReadHead {
  readonly text: string;
  readonly rest: Uint8Array;
}

/** Reads one head after another from one connection. */
export class HeadReader {
  readonly #limits: HeadLimits;
  #buffer = new Uint8Array(0);
  #length = 0;
  #line = 0; // where the current line began
  #scanned = 0;

  constructor(limits: HeadLimits = DEFAULT_HEAD_LIMITS) {
    this.#limits = limits;
  }

  /** Whether some of a head, but not all, has come. */
  get started(): boolean {
    return this.#length > 0;
  }

  /**
   * Takes bytes. Undefined: the head goes on.
   *
   * @throws HttpError 414 or 431 if it is too large, 400 for a lone LF.
   */
  push(bytes: Uint8Array): ReadHead | undefined {
    const view = this.#length === 0 ? bytes : this.#append(bytes);
    const end = this.#scan(view);
    if (end === -1) {
      if (this.#length === 0) this.#append(bytes);
      return undefined;
    }
    const text = Buffer.from(view.buffer, view.byteOffset, Math.max(0, end - 4)).toString('latin1');
    const rest = view.subarray(end);
    this.#buffer = new Uint8Array(0);
    this.#length = this.#line = this.#scanned = 0;
    return { text, rest };
  }

  // The index after the empty line, or -1. Judges byte by byte in order, so that pieces of any size give one verdict.
  #scan(view: Uint8Array): number {
    for (;;) {
      const lf = view.indexOf(LF, this.#scanned);
      const reached = lf === -1 ? view.length : lf;
      this.#expectSmall(reached);
      if (lf === -1) {
        this.#scanned = view.length;
        return -1;
      }
      if (lf === this.#line || view[lf - 1] !== CR)
        throw new HttpError(400, 'a line ends without CR (RFC 9112 2.2)');
      const isEmpty = lf - this.#line === 1;
      this.#line = this.#scanned = lf + 1;
      if (isEmpty) return lf + 1;
    }
  }

  #expectSmall(reached: number): void {
    const { line, head } = this.#limits;
    const lineEnd = this.#line + line;
    if (reached <= Math.min(lineEnd, head)) return;
    if (lineEnd > head) throw new HttpError(431, `the head is longer than ${head} bytes`);
    const status = this.#line === 0 ? 414 : 431;
    throw new HttpError(status, `a line of the head is longer than ${line} bytes`);
  }

  #append(bytes: Uint8Array): Uint8Array {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, this.#buffer.length * 2, 1_024));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
    return this.#buffer.subarray(0, length);
  }
}
