// TLS and HTTPS servers whose every connection is verified, the same on all three runtimes.
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server as HttpServer,
} from 'node:http';
import { createServer as createNodeHttpsServer } from 'node:https';
import { createServer, type Server } from 'node:net';
import { createServer as createNodeTlsServer, type TLSSocket } from 'node:tls';
import type { VerifiedX509Svid } from '../x509-svid/verify.ts';
import { guardTlsServer, type GuardTlsServerOptions, type TlsGuard } from './guard-server.ts';
import { tlsServerOptions } from './options.ts';
import { peerOf, tlsConnectionOf, type TlsConnection } from './supervise.ts';

/** Options of {@link createHttpsServer}. */
export interface GuardedServerOptions extends GuardTlsServerOptions {
  /** Milliseconds that a client has for its handshake. Default 10,000. */
  readonly handshakeTimeout?: number;
}

/** Options of {@link createTlsServer}. */
export interface CreateTlsServerOptions extends GuardedServerOptions {
  /** Protocols to accept by ALPN. Default: none is named. */
  readonly alpn?: readonly string[];
}

/** A server whose every connection is verified. */
export interface GuardedServer extends TlsGuard {
  /** To `listen` with, and for its address and limits. */
  readonly server: Server;
  /** Stops listening and following the source, and ends every connection. */
  close(): void;
}

/**
 * A mutual TLS server. `onConnection` is called with verified clients only.
 *
 * @throws what `source.current()` throws: a server without an SVID does not start.
 */
export function createTlsServer(
  options: CreateTlsServerOptions,
  onConnection: (socket: TLSSocket, connection: TlsConnection) => void,
): GuardedServer {
  const tls = createNodeTlsServer(tlsServerOptions(options, options.alpn));
  const guard = guardTlsServer(tls, options);
  tls.on('secureConnection', (socket) => onConnection(socket, tlsConnectionOf(socket)!));
  tls.on('tlsClientError', (_error, socket) => socket.destroy());
  // Listening plain and handing each connection over lets the guard set the certificate before the handshake begins,
  // which a listening TLS server of Bun does not.
  const server = createServer({ noDelay: true }, (raw) => {
    raw.on('error', () => raw.destroy());
    tls.emit('connection', raw);
  });
  return guardedServer(server, guard);
}

/**
 * An HTTPS server, HTTP/1.1, with mutual TLS. In the listener, `peerOfRequest(request)` tells who calls.
 *
 * Once our SVID has been rotated, connections made under the older one are closed after their next answer, so that none
 * is left when an old CA is withdrawn: no request is lost to a rotation.
 *
 * @throws what `source.current()` throws.
 */
export function createHttpsServer(options: GuardedServerOptions, listener: RequestListener): GuardedServer {
  const onRequest: RequestListener = (request, response) => {
    if (isStale(request, options)) response.setHeader('Connection', 'close');
    listener(request, response);
  };
  if ('Bun' in globalThis) {
    // Bun's https server shows no client certificates. (Deno's http server, fed as here, closes after one answer.)
    const http: HttpServer = createHttpServer(onRequest);
    return createTlsServer({ ...options, alpn: ['http/1.1'] }, (socket) => http.emit('connection', socket));
  }
  const server = createNodeHttpsServer(tlsServerOptions(options, ['http/1.1']), onRequest);
  return guardedServer(server, guardTlsServer(server, options));
}

/**
 * Who sent a request that came through {@link createHttpsServer} or a guarded server.
 *
 * @throws TypeError if it came another way.
 */
export function peerOfRequest(request: Pick<IncomingMessage, 'socket'>): VerifiedX509Svid {
  const peer = peerOf(request.socket);
  if (peer === undefined) throw new TypeError('the request did not come over a verified connection');
  return peer;
}

function guardedServer(server: Server, guard: TlsGuard): GuardedServer {
  const close = () => {
    guard[Symbol.dispose]();
    server.close();
    for (const socket of guard.connections) socket.destroy();
  };
  return { server, connections: guard.connections, close, [Symbol.dispose]: close };
}

function isStale(request: IncomingMessage, { source }: GuardedServerOptions): boolean {
  try {
    return tlsConnectionOf(request.socket)?.svid.serial !== source.current().serial;
  } catch {
    return true;
  }
}
