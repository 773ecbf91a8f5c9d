// Calls whose messages are bytes: what a test wrote goes out as it is, and what comes in is read by hand.
import { Client, credentials, type ChannelCredentials, type ClientOptions } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import type { KeyObject } from 'node:crypto';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { decode, encode, type Fields, type Message } from './protobuf.ts';

/** A client for any method. */
export interface RawClient {
  /** Calls a unary method (`/package.Service/Method`). */
  call(path: string, request: Message | Uint8Array): Promise<Fields>;
  /** Calls a method with streams both ways, sends everything at once, and collects the answers. */
  stream(path: string, requests: readonly Message[]): Promise<Fields[]>;
  close(): void;
}

const same = (value: Uint8Array) => Buffer.from(value);
const bytesOf = (request: Message | Uint8Array) =>
  request instanceof Uint8Array ? request : encode(request);

export function rawClient(
  target: string,
  channel: ChannelCredentials,
  options: ClientOptions = {},
): RawClient {
  const client = new Client(target, channel, options);
  return {
    call: (path, request) =>
      new Promise((resolve, reject) => {
        const deadline = { deadline: Date.now() + 30_000 };
        client.makeUnaryRequest(path, same, same, bytesOf(request), deadline, (error, answer) => {
          if (error) reject(error);
          else resolve(decode(answer!));
        });
      }),
    async stream(path, requests) {
      const call = client.makeBidiStreamRequest(path, same, same);
      for (const request of requests) call.write(bytesOf(request));
      call.end();
      const answers: Fields[] = [];
      for await (const answer of call) answers.push(decode(answer as Uint8Array));
      return answers;
    },
    close: () => client.close(),
  };
}

/** A client of a server on a Unix socket. */
export function rawLocalClient(socketPath: string): RawClient {
  return rawClient(`unix:${socketPath}`, credentials.createInsecure());
}

/** A client of a server on loopback, with or without an SVID. */
export function rawTlsClient(
  port: number,
  roots: readonly Uint8Array[],
  identity?: { readonly privateKey: KeyObject; readonly chain: readonly Uint8Array[] },
): RawClient {
  const key = identity?.privateKey.export({ type: 'pkcs8', format: 'der' });
  const tls = credentials.createSsl(
    Buffer.from(pemOf('CERTIFICATE', roots)),
    key === undefined ? null : Buffer.from(pemOf('PRIVATE KEY', [key])),
    identity === undefined ? null : Buffer.from(pemOf('CERTIFICATE', identity.chain)),
    { checkServerIdentity: () => undefined },
  );
  return rawClient(`127.0.0.1:${port}`, tls, { 'grpc.ssl_target_name_override': 'spire-server' });
}
