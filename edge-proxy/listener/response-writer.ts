// Writes one response: spliced from an upstream as bytes, or made by a layer.
import { Buffer } from 'node:buffer';
import { endToEnd, type Fields } from '../http1/fields.ts';
import type { Framing } from '../http1/framing.ts';
import type { IncomingBody } from '../http1/incoming-body.ts';
import { chunk, lastChunk, responseHead } from '../http1/serialize.ts';
import type { Socket } from '../transport/socket.ts';
import type { Exchange } from './exchange.ts';

/** A response that was begun. */
export interface WritingResponse {
  /** The socket takes more. */
  drained(): void;
}

/** Where and how a response is written. */
export interface WriteOptions {
  readonly socket: Socket;
  readonly exchange: Exchange;
  readonly keepAlive: boolean;
  /** All is on its way, or it broke off. */
  onDone(error?: Error): void;
  /** Some of it was written: the caller is not stuck. */
  onProgress(): void;
}

type OutgoingFraming = Exclude<Framing, { kind: 'close' }>;

/** Copies a forwarded response. Its body is `exchange.forwarded.body`. */
export function writeForwarded(
  response: Response,
  body: IncomingBody,
  options: WriteOptions,
): WritingResponse {
  const { socket, exchange, keepAlive } = options;
  const framing = framingOf(response, exchange, body.framing);
  socket.write(
    responseHead({ status: response.status, fields: fieldsOf(response, exchange), framing, keepAlive }),
  );
  const isChunked = framing.kind === 'chunked';
  body.pipe({
    write(piece) {
      options.onProgress();
      return socket.write(isChunked ? chunk(piece) : piece);
    },
    end(trailers) {
      if (isChunked) socket.write(lastChunk(trailers));
      options.onDone();
    },
    fail: (error) => options.onDone(error),
  });
  return {
    drained() {
      options.onProgress();
      body.ready();
    },
  };
}

/** Writes a response that a layer made. Its body is read to the end first: refusals and admin answers are small. */
export function writeLocal(response: Response, content: Uint8Array, options: WriteOptions): WritingResponse {
  const { socket, exchange, keepAlive } = options;
  const { status } = response;
  const bodyless = exchange.head.method === 'HEAD' || status === 204 || status === 304;
  const framing: OutgoingFraming =
    status === 204 || status === 304 ? { kind: 'none' } : { kind: 'length', length: content.length };
  const head = responseHead({ status, fields: fieldsOf(response, exchange), framing, keepAlive });
  socket.write(bodyless || content.length === 0 ? head : Buffer.concat([head, content]));
  options.onDone();
  return { drained() {} };
}

// A HEAD or 304 response names the length of a body that does not come (RFC 9110 8.6): the one place where a length that
// we did not count goes on.
function framingOf(response: Response, exchange: Exchange, upstream: Framing): OutgoingFraming {
  const { status } = response;
  if (status === 204) return { kind: 'none' };
  if (exchange.head.method === 'HEAD' || status === 304) {
    const length = response.headers.get('content-length');
    return length !== null && /^\d{1,15}$/.test(length)
      ? { kind: 'length', length: Number(length) }
      : { kind: 'none' };
  }
  if (upstream.kind === 'none') return { kind: 'length', length: 0 };
  return upstream.kind === 'close' ? { kind: 'chunked' } : upstream;
}

function fieldsOf(response: Response, exchange: Exchange): Fields {
  const fields: (readonly [string, string])[] = [];
  for (const field of endToEnd([...response.headers])) if (field[0] !== 'x-request-id') fields.push(field);
  fields.push(['x-request-id', exchange.id]);
  return fields;
}
