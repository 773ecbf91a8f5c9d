// A strict, bounded reader of JSON (RFC 8259) for what a peer may send. Unlike JSON.parse it refuses duplicate
// members, unpaired surrogates, deep nesting and giant numbers, and can keep integers exact.
import { SpiffeError } from '../error.ts';

/** A JSON value. Integers are bigints only where {@link JsonOptions.integers} asks for it. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject;

/** A JSON object. It has no prototype, so `constructor` and `__proto__` are members like any other. */
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}

/** Options of {@link parseJson}. */
export interface JsonOptions {
  /** The largest document, in bytes (in UTF-16 units for a string). Default 1 MiB. */
  readonly maxBytes?: number;
  /** How deep arrays and objects may nest, at most 128. Default 16. */
  readonly maxDepth?: number;
  /**
   * `exact`: every literal without fraction and exponent becomes a bigint, so that 64-bit numbers survive and `1e3` is
   * told apart from `1000`. Default `number`: doubles, as JSON.parse makes them.
   */
  readonly integers?: 'number' | 'exact';
}

/** The longest number literal that is read, in characters: longer ones cost more than linear time to convert. */
export const MAX_NUMBER_LENGTH = 64;
const DEFAULT_MAX_BYTES = 1 << 20;
const DEFAULT_MAX_DEPTH = 16;
const HIGHEST_MAX_DEPTH = 128;

/**
 * Reads a JSON document, given as text or as UTF-8. Takes time linear in its length.
 *
 * @throws SpiffeError `ERR_JSON` with what is wrong and at which character; never with the content.
 */
export function parseJson(document: string | Uint8Array, options: JsonOptions = {}): JsonValue {
  const { maxBytes = DEFAULT_MAX_BYTES, maxDepth = DEFAULT_MAX_DEPTH, integers = 'number' } = options;
  if (maxDepth > HIGHEST_MAX_DEPTH) throw new TypeError(`maxDepth is at most ${HIGHEST_MAX_DEPTH}`);
  if (document.length > maxBytes) {
    throw new SpiffeError('ERR_JSON', `the JSON document is larger than ${maxBytes} bytes`);
  }
  const text = typeof document === 'string' ? document : decodeUtf8(document);
  const reader = new JsonReader(text, maxDepth, integers === 'exact');
  return reader.document();
}

/**
 * Reads a JSON document whose top level must be an object.
 *
 * @throws SpiffeError `ERR_JSON`.
 */
export function parseJsonObject(document: string | Uint8Array, options: JsonOptions = {}): JsonObject {
  const value = parseJson(document, options);
  if (!isJsonObject(value)) throw new SpiffeError('ERR_JSON', 'the JSON document is not an object');
  return value;
}

/** Whether a value is a JSON object, not an array and not null. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// A byte-order mark is kept, and then refused as a character that no JSON document begins with.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new SpiffeError('ERR_JSON', 'the JSON document is not UTF-8');
  }
}

// What may follow each other inside a number (RFC 8259 6), checked on the slice found by its characters.
const NUMBER = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class JsonReader {
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #exact: boolean;
  #at = 0;

  constructor(text: string, maxDepth: number, exact: boolean) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#exact = exact;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#error('has something after its end');
    return value;
  }

  #value(depth: number): JsonValue {
    this.#skipSpace();
    const code = this.#text.charCodeAt(this.#at);
    switch (code) {
      case 0x22:
        return this.#string();
      case 0x7b:
        return this.#object(this.#deeper(depth));
      case 0x5b:
        return this.#array(this.#deeper(depth));
      case 0x74:
        return this.#literal('true', true);
      case 0x66:
        return this.#literal('false', false);
      case 0x6e:
        return this.#literal('null', null);
      default:
        return this.#number();
    }
  }

  #deeper(depth: number): number {
    if (depth === this.#maxDepth) throw this.#error(`nests deeper than ${this.#maxDepth}`);
    this.#at++;
    return depth + 1;
  }

  #object(depth: number): JsonObject {
    const object = Object.create(null) as Record<string, JsonValue>;
    if (this.#takes(0x7d)) return object;
    do {
      this.#skipSpace();
      if (this.#text.charCodeAt(this.#at) !== 0x22) throw this.#error('has no member name where one must be');
      const name = this.#string();
      if (name in object) throw this.#error('has a member twice');
      if (!this.#takes(0x3a)) throw this.#error('has no colon after a member name');
      object[name] = this.#value(depth);
    } while (this.#takes(0x2c));
    if (!this.#takes(0x7d)) throw this.#error('has an object that is not closed');
    return object;
  }

  #array(depth: number): readonly JsonValue[] {
    const array: JsonValue[] = [];
    if (this.#takes(0x5d)) return array;
    do array.push(this.#value(depth));
    while (this.#takes(0x2c));
    if (!this.#takes(0x5d)) throw this.#error('has an array that is not closed');
    return array;
  }

  // Runs between escapes are sliced, so that a long string costs one pass.
  #string(): string {
    const text = this.#text;
    const start = ++this.#at;
    let simple = true;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === 0x22) break;
      if (code === 0x5c) {
        simple = false;
        this.#at++;
      } else if (!(code >= 0x20)) {
        throw this.#error('has a string that is not closed, or a control character in one');
      } else if (code >= 0xd800 && code <= 0xdfff) simple = false;
      this.#at++;
    }
    const raw = text.slice(start, this.#at);
    if (this.#at > text.length) throw this.#error('has a string that is not closed');
    const value = simple ? raw : raw.includes('\\') ? this.#unescape(raw) : raw;
    if (!simple && !value.isWellFormed()) throw this.#error('has an unpaired surrogate in a string');
    this.#at++;
    return value;
  }

  #unescape(raw: string): string {
    const parts: string[] = [];
    let from = 0;
    for (let at = raw.indexOf('\\'); at !== -1; at = raw.indexOf('\\', from)) {
      parts.push(raw.slice(from, at));
      const kind = raw.charAt(at + 1);
      if (kind === 'u') {
        const digits = raw.slice(at + 2, at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#error('has a bad \\u escape');
        parts.push(String.fromCharCode(Number.parseInt(digits, 16)));
        from = at + 6;
        continue;
      }
      const char = Object.hasOwn(ESCAPES, kind) ? ESCAPES[kind] : undefined;
      if (char === undefined) throw this.#error('has an unknown escape');
      parts.push(char);
      from = at + 2;
    }
    parts.push(raw.slice(from));
    return parts.join('');
  }

  #number(): number | bigint {
    const text = this.#text;
    const start = this.#at;
    let end = start;
    while (isNumberChar(text.charCodeAt(end))) end++;
    if (end === start) throw this.#error('has no value where one must be');
    if (end - start > MAX_NUMBER_LENGTH) {
      throw this.#error(`has a number of more than ${MAX_NUMBER_LENGTH} characters`);
    }
    const literal = text.slice(start, end);
    const match = NUMBER.exec(literal);
    if (match === null) throw this.#error('has a malformed number');
    this.#at = end;
    if (this.#exact && match[1] === undefined && match[2] === undefined) return BigInt(literal);
    const value = Number(literal);
    if (!Number.isFinite(value)) throw this.#error('has a number out of range');
    return value;
  }

  #literal<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#error('has no value where one must be');
    this.#at += word.length;
    return value;
  }

  #takes(code: number): boolean {
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #error(problem: string): SpiffeError {
    const at = Math.min(this.#at, this.#text.length) + 1;
    return new SpiffeError('ERR_JSON', `the JSON at character ${at} ${problem}`, { detail: { at } });
  }
}

// Digits, sign, point and exponent.
function isNumberChar(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x2b ||
    code === 0x2e ||
    code === 0x45 ||
    code === 0x65
  );
}
