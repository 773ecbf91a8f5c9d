// Request heads (RFC 9112 3): strict, because what we let pass another server may read differently.
import { HttpError } from './error.ts';
import { isToken, listOf, parseFields, valuesOf, type Fields } from './fields.ts';
import { requestFraming, type Framing } from './framing.ts';

/** A request head that only one reading is possible of. */
export interface RequestHead {
  readonly method: string;
  /** In origin form, or `*`; an absolute form that agreed with `Host` was reduced to it. Not yet canonical. */
  readonly target: string;
  /** The value of the one `Host` field. */
  readonly host: string;
  readonly fields: Fields;
  readonly framing: Framing;
  /** Whether the connection may carry another request (RFC 9112 9.3). */
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

// uri-host [ ":" port ]: a name or IPv4 address, or an IPv6 address in brackets. Percent-encoding has no business here.
const HOST = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * Reads a request head.
 *
 * @throws HttpError with the status to answer.
 */
export function parseRequestHead(text: string): RequestHead {
  const lines = text.split('\r\n');
  const [method, target, version, ...more] = lines[0]!.split(' ');
  if (version === undefined || more.length > 0 || !isToken(method!) || target === '') {
    throw new HttpError(400, 'the request line is not METHOD TARGET HTTP/1.1 (RFC 9112 3)');
  }
  expectVersion(version);
  // Methods are case-sensitive (RFC 9110 9.1): `get` is none that anybody means.
  if (!/^[A-Z][A-Z0-9_-]{0,31}$/.test(method!)) throw new HttpError(400, 'the method is not in upper case');
  if (method === 'CONNECT') throw new HttpError(501, 'CONNECT is not supported');
  const fields = parseFields(lines.slice(1));
  const host = hostOf(fields);
  const connection = listOf(fields, 'connection');
  return {
    method: method!,
    target: originForm(target!, host),
    host,
    fields,
    framing: requestFraming(fields),
    keepAlive: !connection.includes('close'),
    expectsContinue: expectation(fields),
  };
}

function expectVersion(version: string): void {
  if (version === 'HTTP/1.1') return;
  if (/^HTTP\/\d\.\d$/.test(version)) throw new HttpError(505, `only HTTP/1.1 is spoken, not ${version}`);
  throw new HttpError(400, 'the request line has no HTTP version (RFC 9112 2.3)');
}

function hostOf(fields: Fields): string {
  const hosts = valuesOf(fields, 'host');
  if (hosts.length !== 1)
    throw new HttpError(400, `the request has ${hosts.length} Host fields (RFC 9112 3.2)`);
  if (!HOST.test(hosts[0]!)) throw new HttpError(400, 'the Host field is no host and port (RFC 9112 3.2)');
  return hosts[0]!;
}

// RFC 9112 3.2.2: what an HTTP proxy is sent. Only where it says the same as Host can nobody be misled.
function originForm(target: string, host: string): string {
  if (target.startsWith('/') || target === '*') return target;
  const match = /^http:\/\/([^/?#]*)(.*)$/.exec(target);
  if (match === null)
    throw new HttpError(400, 'the request target is neither a path nor an http URI (RFC 9112 3.2)');
  if (match[1] !== host)
    throw new HttpError(400, 'the request target names another host than the Host field');
  const rest = match[2]!;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function expectation(fields: Fields): boolean {
  const values = valuesOf(fields, 'expect');
  if (values.length === 0) return false;
  // RFC 9110 10.1.1: any other expectation is answered with 417.
  if (values.length > 1 || values[0]!.toLowerCase() !== '100-continue')
    throw new HttpError(417, 'an unknown expectation');
  return true;
}
