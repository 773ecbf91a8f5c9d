// The connector that every client of ours stands on: the peer is verified before anyone holds the socket.
import type { Duplex } from 'node:stream';
import { clearTimeout, setTimeout } from 'node:timers';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { SpiffeError } from '../error.ts';
import { tlsClientOptions, type MutualTlsOptions } from './options.ts';
import { supervise } from './supervise.ts';

/** Where a connection goes: a TCP address, a Unix socket, or a stream that is already open. */
export type TlsTarget =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  | { readonly socket: Duplex };

/** Options of {@link connectTls}. */
export interface ConnectTlsOptions extends MutualTlsOptions {
  readonly target: TlsTarget;
  /**
   * Protocols to offer by ALPN. A server that picks none speaks `http/1.1`,
   * which must then be among them. Default: none.
   */
  readonly alpn?: readonly string[];
  /** The name to send as SNI. Never checked: identities are. Default: none. */
  readonly servername?: string;
  /** Milliseconds for connecting, handshake included. Default 10,000. */
  readonly timeout?: number;
  /** Ends the attempt; of no effect once the connection is there. */
  readonly signal?: AbortSignal;
}

const TIMEOUT = 10_000;

/**
 * Opens a mutual TLS connection with our current SVID. The peer is verified and authorized at the handshake, resumed or
 * not, and not one byte can be read or written before (X509-SVID 5). `peerOf` tells who it is. The connection ends
 * when the peer's SVID expires or its CA is withdrawn.
 *
 * @throws SpiffeError every code of `verifyX509Svid`, `ERR_SVID_UNEXPECTED_ID`, or `ERR_TLS` if the handshake fails or
 * takes too long; what `source.current()` throws; the socket's own error where nobody listens; the signal's reason.
 */
export function connectTls(options: ConnectTlsOptions): Promise<TLSSocket> {
  const { alpn, signal, target, timeout = TIMEOUT } = options;
  if (typeof options.authorize !== 'function')
    throw new TypeError('connectTls needs an authorizer: whom to expect');
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const svid = options.source.current();
    const socket = connect({
      ...target,
      ...tlsClientOptions(options, alpn),
      ...(options.servername === undefined ? {} : { servername: options.servername }),
    } satisfies ConnectionOptions);
    let failure: unknown;
    const fail = (error: unknown) => {
      failure ??= error;
      socket.destroy();
    };
    const timer = setTimeout(
      () => fail(new SpiffeError('ERR_TLS', `no TLS connection within ${timeout} ms`)),
      timeout,
    );
    const onAbort = () => fail(signal?.reason);
    const onError = (error: Error) => fail(error);
    const onClose = () => {
      settle();
      // A late error of a socket that nobody holds must not become an uncaught exception.
      socket.on('error', () => undefined);
      reject(signal?.aborted === true && failure === signal.reason ? failure : rejectionOf(failure));
    };
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError).off('close', onClose);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('error', onError).once('close', onClose);
    socket.once('secureConnect', () => {
      try {
        expectProtocol(socket, alpn);
        supervise(socket, svid, options);
      } catch (error) {
        fail(error);
        return;
      }
      settle();
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

function expectProtocol(socket: TLSSocket, alpn: readonly string[] | undefined): void {
  if (alpn === undefined || alpn.length === 0) return;
  // A peer without ALPN speaks HTTP/1.1, which came before it; everything else is named.
  if (!alpn.includes(socket.alpnProtocol || 'http/1.1')) {
    throw new SpiffeError('ERR_TLS', `the peer agreed to none of the protocols ${alpn.join(', ')}`);
  }
}

// Errors of the system (nobody listens, no route) stay what they are; those of the handshake become ours.
function rejectionOf(failure: unknown): unknown {
  if (failure === undefined) {
    return new SpiffeError('ERR_TLS', 'the peer closed the connection during the TLS handshake');
  }
  if (!(failure instanceof Error) || failure instanceof SpiffeError || 'syscall' in failure) return failure;
  return new SpiffeError('ERR_TLS', `the TLS handshake failed: ${failure.message}`, { cause: failure });
}
