// For the tests of this folder: servers, and a fetch to call them.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeAll } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import {
  authorizeAny,
  authorizeId,
  createHttpsServer,
  createTlsServer,
  peerOfRequest,
} from '../tls/index.ts';
import { FixedSource, listening } from '../tls/testing.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { createFetch, type CreateFetchOptions } from './index.ts';

/** Two authorities of one name, and SVIDs of the first. */
export let authority: TestAuthority;
export let other: TestAuthority;
export let serverSvid: X509Svid;
export let clientSvid: X509Svid;
/** Run after each test. */
export const toClose: (() => unknown)[] = [];

/** Makes the authorities and SVIDs, and closes what a test left open. To be called once in a test file. */
export function useFetch(): void {
  beforeAll(async () => {
    [authority, other] = await Promise.all([testAuthority(), testAuthority()]);
    [serverSvid, clientSvid] = await Promise.all([authority.issue('/server'), authority.issue('/client')]);
  });
  afterEach(() => {
    for (const close of toClose.splice(0)) close();
  });
}

/** A request as the server saw it. */
export interface Call {
  readonly request: IncomingMessage;
  readonly socket: object;
  readonly body: string;
}

/** A server that answers with the caller's ID unless `answer` says otherwise. */
export async function serve(answer?: (call: Call, response: ServerResponse) => void) {
  const source = new FixedSource(serverSvid, authority.bundles);
  const calls: Call[] = [];
  const guarded = createHttpsServer({ source, authorize: authorizeAny() }, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const call = { request, socket: request.socket, body };
      calls.push(call);
      if (answer === undefined) response.end(peerOfRequest(request).id);
      else answer(call, response);
    });
  });
  toClose.push(() => guarded.close());
  const port = await listening(guarded);
  return { source, calls, guarded, origin: `https://127.0.0.1:${port}` };
}

/** A server that answers in bytes. */
export async function serveRaw(answer: (socket: TLSSocket, text: string, connection: number) => void) {
  const seen = { bytes: 0, connections: 0 };
  const source = new FixedSource(serverSvid, authority.bundles);
  const guarded = createTlsServer({ source, authorize: authorizeAny(), alpn: ['http/1.1'] }, (socket) => {
    const connection = ++seen.connections;
    socket.on('data', (bytes) => {
      seen.bytes += bytes.length;
      answer(socket, String(bytes), connection);
    });
  });
  toClose.push(() => guarded.close());
  return { seen, origin: `https://127.0.0.1:${await listening(guarded)}` };
}

/** A fetch that expects `/server`. */
export function client(over: Partial<CreateFetchOptions> = {}) {
  const source = new FixedSource(clientSvid, authority.bundles);
  const fetch = createFetch({ source, authorize: authorizeId(authority.id('/server')), ...over });
  toClose.push(() => fetch.close());
  return { source, fetch };
}

/** A short answer. */
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
