// Where a body ends (RFC 9112 6.3), without any of the rules that repair a broken message: those are what request
// smuggling lives on.
import { HttpError } from './error.ts';
import { valuesOf, type Fields } from './fields.ts';

/** How a body is framed. `close`: until the connection ends, for responses only. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close' };

const NONE: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const CLOSE: Framing = { kind: 'close' };

/**
 * The framing of a request.
 *
 * @throws HttpError 400 where two recipients could differ, 501 for an unknown transfer coding.
 */
export function requestFraming(fields: Fields): Framing {
  return declared(fields, 501) ?? NONE;
}

/**
 * The framing of a response to a request of the given method.
 *
 * @throws HttpError 502.
 */
export function responseFraming(method: string, status: number, fields: Fields, minor: number): Framing {
  const framing = declared(fields, 502);
  if (framing?.kind === 'chunked' && minor === 0) {
    throw new HttpError(502, 'an HTTP/1.0 response has Transfer-Encoding (RFC 9112 6.1)');
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE;
  return framing ?? CLOSE;
}

function declared(fields: Fields, unknownCoding: number): Framing | undefined {
  const codings = valuesOf(fields, 'transfer-encoding');
  const lengths = valuesOf(fields, 'content-length');
  const broken = unknownCoding === 501 ? 400 : 502;
  if (codings.length > 0) {
    if (lengths.length > 0)
      throw new HttpError(broken, 'both Transfer-Encoding and Content-Length (RFC 9112 6.1)');
    if (codings.length > 1) throw new HttpError(broken, 'more than one Transfer-Encoding');
    if (codings[0]!.toLowerCase() !== 'chunked')
      throw new HttpError(unknownCoding, 'a transfer coding other than chunked');
    return CHUNKED;
  }
  if (lengths.length === 0) return undefined;
  // Equal values could be merged (RFC 9112 6.3); who sends two is refused all the same. 15 digits are exact numbers.
  if (lengths.length > 1) throw new HttpError(broken, 'more than one Content-Length');
  if (!/^(0|[1-9]\d{0,14})$/.test(lengths[0]!)) throw new HttpError(broken, 'Content-Length is not a number');
  return { kind: 'length', length: Number(lengths[0]) };
}
