// Response heads (RFC 9112 4). A response that breaks the rules is a 502: it reaches nobody.
import { HttpError } from './error.ts';
import { listOf, parseFields, type Fields } from './fields.ts';
import { responseFraming, type Framing } from './framing.ts';

/** A response head. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
  readonly framing: Framing;
  /** Whether the connection may carry another request (RFC 9112 9.3). */
  readonly keepAlive: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/**
 * Reads the head of a response to a request of the given method.
 *
 * @throws HttpError 502.
 */
export function parseResponseHead(text: string, method: string): ResponseHead {
  const lines = text.split('\r\n');
  const match = STATUS_LINE.exec(lines[0]!);
  if (match === null) throw new HttpError(502, 'the status line is not HTTP/1.1 STATUS REASON (RFC 9112 4)');
  const minor = Number(match[1]);
  const status = Number(match[2]);
  let fields: Fields;
  try {
    fields = parseFields(lines.slice(1));
  } catch (error) {
    throw new HttpError(502, (error as Error).message);
  }
  const framing = responseFraming(method, status, fields, minor);
  const connection = listOf(fields, 'connection');
  const persistent = minor === 1 ? !connection.includes('close') : connection.includes('keep-alive');
  return { status, fields, framing, keepAlive: persistent && framing.kind !== 'close' };
}
