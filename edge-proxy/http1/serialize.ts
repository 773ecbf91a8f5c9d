// Writes messages. Framing is always written anew from what was decoded, never copied.
import { Buffer } from 'node:buffer';
import { isFieldValue, isToken, type Fields } from './fields.ts';
import type { Framing } from './framing.ts';

/** What goes into a request head. */
export interface OutgoingRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly host: string;
  readonly fields: Fields;
  readonly framing: Framing;
}

/** The bytes of a request head. */
export function requestHead(request: OutgoingRequest): Uint8Array {
  const { method, target, host, fields, framing } = request;
  return encode(
    `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n${linesOf(fields)}${framingLine(framing)}\r\n`,
  );
}

/** What goes into a response head. */
export interface OutgoingResponse {
  readonly status: number;
  readonly fields: Fields;
  /** `close` is not written: the caller sends chunks. */
  readonly framing: Exclude<Framing, { kind: 'close' }>;
  readonly keepAlive: boolean;
}

/** The bytes of a response head. The reason phrase is left empty: nobody may rely on it (RFC 9112 4). */
export function responseHead(response: OutgoingResponse): Uint8Array {
  const { status, fields, framing, keepAlive } = response;
  const connection = keepAlive ? '' : 'connection: close\r\n';
  return encode(`HTTP/1.1 ${status} \r\n${linesOf(fields)}${framingLine(framing)}${connection}\r\n`);
}

/** `100 Continue` (RFC 9110 15.2.1). */
export const CONTINUE: Uint8Array = encode('HTTP/1.1 100 \r\n\r\n');

/** The line before the data of a chunk, and what follows it. */
export function chunk(bytes: Uint8Array): Uint8Array {
  const size = bytes.length.toString(16);
  const framed = Buffer.allocUnsafe(size.length + 4 + bytes.length);
  framed.write(size, 'latin1');
  framed[size.length] = framed[size.length + 2 + bytes.length] = 0x0d;
  framed[size.length + 1] = framed[size.length + 3 + bytes.length] = 0x0a;
  framed.set(bytes, size.length + 2);
  return framed;
}

/** The last chunk, with trailers. */
export function lastChunk(trailers: Fields): Uint8Array {
  return trailers.length === 0 ? LAST_CHUNK : encode(`0\r\n${linesOf(trailers)}\r\n`);
}

const LAST_CHUNK = encode('0\r\n\r\n');

function framingLine(framing: Framing): string {
  switch (framing.kind) {
    case 'none':
    case 'close':
      return '';
    case 'length':
      return `content-length: ${framing.length}\r\n`;
    case 'chunked':
      return 'transfer-encoding: chunked\r\n';
  }
}

// Values were checked when they were read; those that a handler or filter made are checked here, so that nothing that
// it puts into a header can become another header or a body.
function linesOf(fields: Fields): string {
  let lines = '';
  for (const [name, value] of fields) {
    if (!isToken(name) || !isFieldValue(value))
      throw new TypeError(`the header field ${JSON.stringify(name)} is not valid`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

function encode(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
