// Field lines (RFC 9112 5, RFC 9110 5): a strict reader, and which fields never pass a proxy.
import { HttpError } from './error.ts';
import { DEFAULT_HEAD_LIMITS } from './limits.ts';

/** Field lines in order, names in lower case, values without surrounding white space. */
export type Fields = readonly (readonly [name: string, value: string])[];

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Visible characters, obs-text, and white space inside (RFC 9110 5.5). No CR, LF or NUL, and no other control.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Whether `text` is a token (RFC 9110 5.6.2). */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether `text` may be a field value. */
export function isFieldValue(text: string): boolean {
  return VALUE.test(text);
}

/**
 * Reads field lines.
 *
 * @throws HttpError 400; 431 if there are too many.
 */
export function parseFields(lines: readonly string[], most = DEFAULT_HEAD_LIMITS.fields): Fields {
  if (lines.length > most) throw new HttpError(431, `there are more than ${most} header fields`);
  return lines.map(parseField);
}

function parseField(line: string): readonly [string, string] {
  // Leading white space would be obs-fold, which RFC 9112 5.2 lets a server refuse.
  if (line.startsWith(' ') || line.startsWith('\t'))
    throw new HttpError(400, 'a header field is folded (RFC 9112 5.2)');
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  // White space before the colon is no token character: refused, as RFC 9112 5.1 demands.
  if (colon < 1 || !TOKEN.test(name))
    throw new HttpError(400, 'a header field has no valid name (RFC 9112 5.1)');
  const value = trimmed(line, colon + 1);
  if (!VALUE.test(value))
    throw new HttpError(400, `the header field ${name} holds a control character (RFC 9110 5.5)`);
  return [name.toLowerCase(), value];
}

// Optional white space is SP and HTAB only (RFC 9110 5.6.3); String.trim would also take NBSP, which is obs-text here.
function trimmed(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** All values of a field. */
export function valuesOf(fields: Fields, name: string): string[] {
  const values: string[] = [];
  for (const field of fields) if (field[0] === name) values.push(field[1]);
  return values;
}

/** The members of a comma-separated field, in lower case. */
export function listOf(fields: Fields, name: string): string[] {
  return valuesOf(fields, name)
    .flatMap((value) => value.split(','))
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== '');
}

// RFC 9110 7.6.1, and those that only mean something between two neighbours. `host` and the framing fields are written
// anew by the serialiser, `expect` is answered by us.
const NEVER_FORWARDED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'content-length',
  'host',
  'expect',
]);

/** The fields that go on to the next hop: without hop-by-hop fields and those that `Connection` names. */
export function endToEnd(fields: Fields): Fields {
  const named = listOf(fields, 'connection');
  return fields.filter(([name]) => !NEVER_FORWARDED.has(dashed(name)) && !named.includes(name));
}

// Names that this proxy speaks under, or that applications take as proof of identity from a proxy.
const OURS = new Set([
  'x-spiffe-id',
  'x-forwarded-client-cert',
  'x-request-id',
  'x-sigil-parent-request-id',
  'client-cert', // RFC 9440
  'client-cert-chain',
  'ssl-client-cert',
  'x-ssl-client-cert',
  'x-client-cert',
]);

/** Whether a field that a client sent is dropped. */
export function isOurs(name: string): boolean {
  return OURS.has(dashed(name));
}

// `_` counts as `-`: CGI-like servers make one variable of both, and would take `Transfer_Encoding` for framing.
function dashed(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

/**
 * Whether a field may stand in a trailer section (RFC 9110 6.5.1): nothing that frames, routes, authorises, caches or
 * identifies. Some servers add trailers to the headers.
 */
export function isTrailerField(name: string): boolean {
  return !NEVER_FORWARDED.has(dashed(name)) && !NO_TRAILER.has(dashed(name)) && !isOurs(name);
}

const NO_TRAILER = new Set([
  'trailer',
  'authorization',
  'content-encoding',
  'content-range',
  'content-type',
  'cache-control',
  'cookie',
  'set-cookie',
  'age',
  'date',
  'expires',
  'location',
  'max-forwards',
  'range',
  'retry-after',
  'vary',
  'www-authenticate',
]);
