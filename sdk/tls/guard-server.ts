// Live rotation and verification for any server of the runtime that speaks TLS.
import { Buffer } from 'node:buffer';
import type { Server, TLSSocket } from 'node:tls';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { contextOptions, type MutualTlsOptions } from './options.ts';
import { supervise } from './supervise.ts';

/** A connection that was refused after its handshake. */
export interface TlsRefusal {
  /** IP address of the client. */
  readonly remoteAddress: string;
  readonly error: Error;
}

/** Options of {@link guardTlsServer}. */
export interface GuardTlsServerOptions extends MutualTlsOptions {
  /** Told of each refusal, for logs. The client is told nothing. */
  readonly onRefused?: (refusal: TlsRefusal) => void;
}

/** A guarded server's connections. Disposing stops following the source; open connections and refusals stay. */
export interface TlsGuard extends Disposable {
  /** The connections that stand. */
  readonly connections: ReadonlySet<TLSSocket>;
}

/**
 * Guards a `tls.Server`, `https.Server` or `http2` secure server made with `tlsServerOptions`: every client is verified
 * and authorized at its handshake, resumed or not, before the server hears of the connection; new handshakes present
 * the current SVID. Whoever listens for `secureConnection`, before or after this call, sees accepted clients only.
 *
 * @throws what `source.current()` throws; TypeError for a server that cannot be guarded: on Bun, an `https.Server` has
 * neither rotation nor client certificates. Use `createHttpsServer` there.
 */
export function guardTlsServer(server: Server, options: GuardTlsServerOptions): TlsGuard {
  if (typeof options.authorize !== 'function')
    throw new TypeError('guardTlsServer needs an authorizer: whom to accept');
  if (typeof server.setSecureContext !== 'function')
    throw new TypeError('this server cannot rotate its certificate on this runtime: use createHttpsServer');
  const { source, minVersion = 'TLSv1.3' } = options;
  const connections = new Set<TLSSocket>();
  let presented: X509Svid | undefined;
  let before: X509Svid | undefined;
  // Throws when there is nothing to present: whoever calls it refuses.
  const rotate = (): X509Svid => {
    const svid = source.current();
    if (svid === presented) return svid;
    server.setSecureContext(contextOptions(svid, minVersion));
    [before, presented] = [presented, svid];
    return svid;
  };
  const quietly = () => {
    try {
      rotate();
    } catch {
      // What is left in place expires by itself, and `admit` refuses meanwhile.
    }
  };
  const admit = (socket: TLSSocket): boolean => {
    const remoteAddress = socket.remoteAddress ?? 'unknown';
    try {
      const svid = rotate();
      // A handshake that a rotation overtook presented the one before: servers then know to close it early.
      supervise(socket, before !== undefined && presents(socket, before) ? before : svid, options);
    } catch (error) {
      socket.on('error', () => undefined);
      socket.destroy();
      options.onRefused?.({ remoteAddress, error: error as Error });
      return false;
    }
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    return true;
  };
  rotate();
  server.prependListener('connection', quietly); // the raw connection, before its handshake
  const unsubscribe = source.onUpdate?.(quietly);
  // The event is stopped, and not only answered by a listener of ours: a protocol's own listener must never be handed a
  // socket that was refused.
  const emit = server.emit.bind(server) as (event: string | symbol, ...values: unknown[]) => boolean;
  server.emit = (event: string | symbol, ...values: unknown[]): boolean =>
    event === 'secureConnection' && !admit(values[0] as TLSSocket) ? true : emit(event, ...values);
  return {
    connections,
    [Symbol.dispose]() {
      unsubscribe?.();
    },
  };
}

function presents(socket: TLSSocket, svid: X509Svid): boolean {
  const { raw } = (socket.getCertificate() ?? {}) as { raw?: Uint8Array };
  return raw !== undefined && Buffer.compare(raw, svid.certificates[0]!) === 0;
}
