// One gRPC service over a socket pair. grpc-js dials by address, and a socket pair has none: so a unary call is made
// by hand on node:http2 (gRPC over HTTP/2: a five-byte frame header, the status in the trailers).
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Buffer } from 'node:buffer';
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';

/** Unary gRPC calls to whoever holds the other end of a socket pair. */
export class PairClient {
  readonly #session: ClientHttp2Session;

  constructor(socket: Duplex) {
    this.#session = connect('http://agent', { createConnection: () => socket });
    this.#session.on('error', () => {}); // Each call fails by itself; the session has nobody else to tell.
  }

  /** Makes a call; fails with the status message if the status is not OK. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    timeout = 10_000,
  ): Promise<MessageShape<O>> {
    const message = toBinary(method.input, create(method.input, request));
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, 5);
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': `/${method.parent.typeName}/${method.name}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      const chunks: Buffer[] = [];
      let status: IncomingHttpHeaders = {};
      // An answer without a message has its status in the headers.
      stream.on('response', (headers) => (status = headers));
      stream.on('trailers', (headers) => (status = headers));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.setTimeout(timeout, () => stream.destroy(new Error(`no answer within ${timeout} ms`)));
      const settle = () => {
        if (status['grpc-status'] === '0') {
          resolve(fromBinary(method.output, Buffer.concat(chunks).subarray(5)));
        } else {
          const message = status['grpc-message'] ?? 'the agent ended the connection';
          reject(new Error(decodeURIComponent(String(message))));
        }
      };
      // Whichever comes first; trailers precede both.
      stream.on('end', settle).on('close', settle);
      stream.end(frame);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}
