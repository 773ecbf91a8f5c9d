// SPIFFE IDs and trust domains, read by hand from characters (SPIFFE-ID 2). Never with URL: a URL parser
// lower-cases, decodes and normalises, and each of those makes two names out of one.
import { SpiffeError } from './error.ts';

declare const spiffeIdBrand: unique symbol;
declare const trustDomainBrand: unique symbol;

/** A valid SPIFFE ID, such as `spiffe://example.org/web`. Equality is string equality. */
export type SpiffeId = string & { readonly [spiffeIdBrand]: true };

/** A valid trust domain name, such as `example.org`. Equality is string equality. */
export type TrustDomain = string & { readonly [trustDomainBrand]: true };

/** The longest SPIFFE ID that must be supported, in bytes (SPIFFE-ID 2.3). Longer ones are refused. */
export const MAX_SPIFFE_ID_BYTES = 2048;
/** The longest trust domain name, in bytes (SPIFFE-ID 2.1, RFC 3986 3.2.2). */
export const MAX_TRUST_DOMAIN_BYTES = 255;

const SCHEME = 'spiffe://';
const LOWER = 1;
const UPPER = 2;
const OTHER = 4; // digits . - _
const TRUST_DOMAIN_CHARS = LOWER | OTHER;
const PATH_CHARS = LOWER | UPPER | OTHER;
const SLASH = 0x2f;
const DOT = 0x2e;

const CLASSES = new Uint8Array(128);
for (let code = 0x61; code <= 0x7a; code++) CLASSES[code] = LOWER;
for (let code = 0x41; code <= 0x5a; code++) CLASSES[code] = UPPER;
for (let code = 0x30; code <= 0x39; code++) CLASSES[code] = OTHER;
for (const char of '.-_') CLASSES[char.charCodeAt(0)] = OTHER;

/**
 * Reads a SPIFFE ID (SPIFFE-ID 2.1 to 2.3).
 *
 * @throws SpiffeError `ERR_SPIFFE_ID` with what is wrong and at which character; `TypeError` if `text` is no string.
 */
export function parseSpiffeId(text: string): SpiffeId {
  if (typeof text !== 'string') throw new TypeError('a SPIFFE ID must be a string');
  const problem = problemOfId(text);
  if (problem !== undefined) throw idError(text, problem);
  return text as SpiffeId;
}

/** Whether `text` is a valid SPIFFE ID. */
export function isSpiffeId(text: unknown): text is SpiffeId {
  return typeof text === 'string' && problemOfId(text) === undefined;
}

/**
 * Reads a trust domain, given as a name (`example.org`) or as an ID without a path (`spiffe://example.org`).
 *
 * @throws SpiffeError `ERR_TRUST_DOMAIN`.
 */
export function parseTrustDomain(text: string): TrustDomain {
  if (typeof text !== 'string') throw new TypeError('a trust domain must be a string');
  const name = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  const problem = problemOfTrustDomain(name, name.length);
  if (problem !== undefined) {
    throw new SpiffeError('ERR_TRUST_DOMAIN', `trust domain ${quote(text)}: ${problem}`);
  }
  return name as TrustDomain;
}

/**
 * Makes an ID from a trust domain and a path, which is empty or begins with `/`.
 *
 * @throws SpiffeError `ERR_SPIFFE_ID`.
 */
export function spiffeIdOf(trustDomain: TrustDomain, path: string): SpiffeId {
  if (path !== '' && !path.startsWith('/')) {
    throw idError(`${SCHEME}${trustDomain}${path}`, 'the path must begin with a slash');
  }
  return parseSpiffeId(`${SCHEME}${trustDomain}${path}`);
}

/**
 * Makes an ID from a trust domain and the segments of its path, none of which may hold a slash.
 *
 * @throws SpiffeError `ERR_SPIFFE_ID`.
 */
export function spiffeIdFromSegments(trustDomain: TrustDomain, ...segments: readonly string[]): SpiffeId {
  const text = [SCHEME + trustDomain, ...segments].join('/');
  if (segments.some((segment) => segment.includes('/'))) throw idError(text, 'a segment holds a slash');
  return parseSpiffeId(text);
}

/** The trust domain of an ID. */
export function trustDomainOf(id: SpiffeId): TrustDomain {
  const slash = id.indexOf('/', SCHEME.length);
  return (slash === -1 ? id.slice(SCHEME.length) : id.slice(SCHEME.length, slash)) as TrustDomain;
}

/** The path of an ID with its leading slash, or the empty string for the ID of a trust domain. */
export function pathOf(id: SpiffeId): string {
  const slash = id.indexOf('/', SCHEME.length);
  return slash === -1 ? '' : id.slice(slash);
}

/** The ID of a trust domain: `spiffe://example.org`. */
export function trustDomainId(trustDomain: TrustDomain): SpiffeId {
  return `${SCHEME}${trustDomain}` as SpiffeId;
}

/** Whether an ID lies in a trust domain. */
export function isMemberOf(id: SpiffeId, trustDomain: TrustDomain): boolean {
  return trustDomainOf(id) === trustDomain;
}

function problemOfId(text: string): string | undefined {
  if (text.length > MAX_SPIFFE_ID_BYTES) return `is longer than ${MAX_SPIFFE_ID_BYTES} bytes`;
  if (!text.startsWith(SCHEME)) return `must begin with ${SCHEME}`;
  let end = text.indexOf('/', SCHEME.length);
  if (end === -1) end = text.length;
  const problem = problemOfTrustDomain(text, end, SCHEME.length);
  return problem ?? problemOfPath(text, end);
}

function problemOfTrustDomain(text: string, end: number, start = 0): string | undefined {
  if (end === start) return 'the trust domain is empty';
  if (end - start > MAX_TRUST_DOMAIN_BYTES)
    return `the trust domain is longer than ${MAX_TRUST_DOMAIN_BYTES} bytes`;
  for (let index = start; index < end; index++) {
    if (!isOf(text, index, TRUST_DOMAIN_CHARS)) {
      return `character ${index + 1} (${describe(text, index)}) is not allowed in a trust domain: use a-z 0-9 . - _`;
    }
  }
  return undefined;
}

// Segments are non-empty, none is `.` or `..`, and there is no trailing slash (SPIFFE-ID 2.2).
function problemOfPath(text: string, start: number): string | undefined {
  let segment = start + 1;
  for (let index = start + 1; index <= text.length && start < text.length; index++) {
    if (index < text.length && text.charCodeAt(index) !== SLASH) {
      if (isOf(text, index, PATH_CHARS)) continue;
      return `character ${index + 1} (${describe(text, index)}) is not allowed in a path: use a-z A-Z 0-9 . - _`;
    }
    const length = index - segment;
    if (length === 0)
      return index === text.length
        ? 'the path must not end with a slash'
        : 'the path must not have empty segments';
    if (length <= 2 && text.charCodeAt(segment) === DOT && text.charCodeAt(index - 1) === DOT) {
      return 'the path must not have . or .. segments';
    }
    segment = index + 1;
  }
  return undefined;
}

function isOf(text: string, index: number, classes: number): boolean {
  const code = text.charCodeAt(index);
  return code < 128 && (CLASSES[code]! & classes) !== 0;
}

function describe(text: string, index: number): string {
  const code = text.codePointAt(index)!;
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  return code > 0x20 && code < 0x7f ? `"${String.fromCodePoint(code)}", ${hex}` : hex;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}...` : text);
}

function idError(text: string, problem: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_ID', `SPIFFE ID ${quote(text)}: ${problem}`);
}
