// Structured fields (RFC 9651), as far as signatures and digests use them: a dictionary of inner lists and of byte
// sequences, with parameters. Strict and bounded; a key that stands twice is refused, where the RFC lets the last win.
import { base64Of, decodeBase64 } from '../../json/base64.ts';
import { proofError } from '../proof-of-possession.ts';

/** A token (RFC 9651 3.3.4), apart from a string. */
export interface SfToken {
  readonly token: string;
}

/** A bare item: integer, string, token, byte sequence or boolean. */
export type SfBareItem = number | string | boolean | Uint8Array | SfToken;

/** Parameters in their order. */
export type SfParameters = ReadonlyMap<string, SfBareItem>;

/** An item with its parameters. */
export interface SfItem {
  readonly value: SfBareItem;
  readonly parameters: SfParameters;
}

/** A dictionary member. */
export type SfMember = SfItem | { readonly items: readonly SfItem[]; readonly parameters: SfParameters };

const MAX_LENGTH = 16_384;
const MAX_MEMBERS = 32;
const MAX_ITEMS = 64;

/**
 * Reads a dictionary.
 *
 * @throws SpiffeError `ERR_SVID_PROOF`.
 */
export function parseDictionary(text: string): ReadonlyMap<string, SfMember> {
  if (text.length > MAX_LENGTH)
    throw proofError(`a structured field is longer than ${MAX_LENGTH} characters`);
  const reader = new Reader(text);
  const members = new Map<string, SfMember>();
  do {
    reader.skip(/[ \t]*/y);
    const key = reader.key();
    if (members.has(key) || members.size === MAX_MEMBERS) throw reader.error();
    members.set(key, reader.takes('=') ? reader.member() : { value: true, parameters: reader.parameters() });
    reader.skip(/[ \t]*/y);
  } while (reader.takes(','));
  reader.expectEnd();
  return members;
}

/** Writes an inner list with its parameters, in the one form that signatures are made over (RFC 9421 2.3). */
export function innerListText(items: readonly SfItem[], parameters: SfParameters): string {
  return `(${items.map((item) => `${bareText(item.value)}${parametersText(item.parameters)}`).join(' ')})${parametersText(parameters)}`;
}

function parametersText(parameters: SfParameters): string {
  return [...parameters]
    .map(([key, value]) => (value === true ? `;${key}` : `;${key}=${bareText(value)}`))
    .join('');
}

function bareText(value: SfBareItem): string {
  if (typeof value === 'number') return value.toString();
  if (typeof value === 'string') return `"${value.replace(/["\\]/g, '\\$&')}"`;
  if (typeof value === 'boolean') return value ? '?1' : '?0';
  return value instanceof Uint8Array ? `:${base64Of(value)}:` : value.token;
}

// Sticky patterns, none of which can backtrack: each character class excludes what follows it.
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  member(): SfMember {
    if (!this.takes('(')) return this.#item();
    const items: SfItem[] = [];
    for (;;) {
      this.skip(/ */y);
      if (this.takes(')')) return { items, parameters: this.parameters() };
      if (items.length === MAX_ITEMS) throw this.error();
      items.push(this.#item());
      const next = this.#text.charAt(this.#at);
      if (next !== ' ' && next !== ')') throw this.error();
    }
  }

  key(): string {
    return this.#match(/[a-z*][a-z0-9_.*-]*/y);
  }

  parameters(): SfParameters {
    const parameters = new Map<string, SfBareItem>();
    while (this.takes(';')) {
      this.skip(/ */y);
      const key = this.key();
      if (parameters.has(key) || parameters.size === MAX_MEMBERS) throw this.error();
      parameters.set(key, this.takes('=') ? this.#bare() : true);
    }
    return parameters;
  }

  #item(): SfItem {
    const value = this.#bare();
    return { value, parameters: this.parameters() };
  }

  #bare(): SfBareItem {
    const first = this.#text.charAt(this.#at);
    if (first === '"') {
      const text = this.#match(/"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y);
      return text.slice(1, -1).replace(/\\(["\\])/g, '$1');
    }
    if (first === ':') {
      const bytes = decodeBase64(this.#match(/:[A-Za-z0-9+/]*={0,2}:/y).slice(1, -1));
      if (bytes === undefined) throw this.error();
      return bytes;
    }
    if (first === '?') return this.#match(/\?[01]/y) === '?1';
    // No decimals: nothing here uses them, and a point after the digits is then refused.
    if (first === '-' || (first >= '0' && first <= '9'))
      return Number(this.#match(/-?[0-9]{1,15}(?![0-9.])/y));
    return { token: this.#match(/[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*/y) };
  }

  takes(char: string): boolean {
    if (this.#text.charAt(this.#at) !== char) return false;
    this.#at++;
    return true;
  }

  skip(pattern: RegExp): void {
    this.#match(pattern);
  }

  expectEnd(): void {
    if (this.#at < this.#text.length) throw this.error();
  }

  error(): Error {
    return proofError(`a structured field is malformed at character ${this.#at + 1} (RFC 9651)`);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.error();
    this.#at += found.length;
    return found;
  }
}
