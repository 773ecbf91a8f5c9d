// gRPC over mutual TLS: the listener of a grpc-js server, and who calls.
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import { createTlsServer, type GuardedServer, type GuardedServerOptions } from '../tls/server.ts';
import { peerOf } from '../tls/supervise.ts';
import type { VerifiedX509Svid } from '../x509-svid/verify.ts';

const sockets = new Map<string, object>();
let connections = 0;

/**
 * Gives a grpc-js server a mutual TLS listener: call `listen` on the result's `server`. Every client is verified at its
 * handshake, before grpc-js hears of it, and new handshakes present the current SVID.
 *
 * In place of `ServerCredentials.createSsl`, which would fix the certificate and leave the verdict on clients to the
 * runtime. Give the server `grpc.max_connection_age_ms` (say, a quarter of an SVID's life) if its calls are long: a
 * connection is ended when the client's SVID expires, with whatever runs on it.
 *
 * @throws what `source.current()` throws.
 */
export function serveGrpc(server: Server, options: GuardedServerOptions): GuardedServer {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return createTlsServer({ ...options, alpn: ['h2'] }, (socket) => {
    // The one public way from a call back to its connection is getPeer(), which reads the remote address.
    const name = `spiffe-${++connections}`;
    Object.defineProperty(socket, 'remoteAddress', { value: name });
    Object.defineProperty(socket, 'remotePort', { value: undefined });
    sockets.set(name, socket);
    socket.once('close', () => sockets.delete(name));
    injector.injectConnection(socket);
  });
}

/**
 * Who makes a call that came through {@link serveGrpc}.
 *
 * @throws TypeError if it came another way, or its connection is gone.
 */
export function peerOfCall(call: { getPeer(): string }): VerifiedX509Svid {
  const socket = sockets.get(call.getPeer());
  const peer = socket && peerOf(socket);
  if (peer === undefined) throw new TypeError('the call did not come over a verified connection');
  return peer;
}
