// A bound listener and its connections.
import type { Address } from '../transport/address.ts';
import type { Listener, Refusal, Socket, TlsSettings, Transport } from '../transport/socket.ts';
import { ServerConnection } from './server-connection.ts';
import type { ListenerSettings } from './settings.ts';

// The longest delay that a timer takes.
const MAX_TIMER = 2_147_483_647;

/** Options of {@link openListener}. */
export interface ListenerOptions extends ListenerSettings {
  readonly transport: Transport;
  readonly address: Address;
  readonly tls?: TlsSettings;
  readonly maxConnections: number;
  readonly handshakeTimeout: number;
  onAccepted(): void;
  onRefused(refusal: Refusal): void;
}

/** A listener that serves. */
export interface OpenListener {
  readonly name: string;
  readonly address: Address;
  /** Stops accepting and lets requests in flight end, for so many milliseconds. */
  drain(milliseconds: number): Promise<void>;
}

/**
 * Binds and serves.
 *
 * @throws Error that names the address if it is in use.
 */
export async function openListener(options: ListenerOptions): Promise<OpenListener> {
  const connections = new Set<ServerConnection>();
  let drained: (() => void) | undefined;
  const listener: Listener = await options.transport.listen({
    address: options.address,
    tls: options.tls,
    maxConnections: options.maxConnections,
    handshakeTimeout: options.handshakeTimeout,
    onSocket(socket) {
      options.onAccepted();
      const expiry = watchExpiry(socket, options);
      const connection = new ServerConnection(socket, options, (closed) => {
        clearTimeout(expiry.timer);
        connections.delete(closed);
        if (connections.size === 0) drained?.();
      });
      expiry.start(connection);
      connections.add(connection);
      return connection;
    },
    onRefused: (refusal) => options.onRefused(refusal),
  });
  return {
    name: options.name,
    address: listener.address,
    async drain(milliseconds) {
      listener.close();
      const empty = new Promise<void>((resolve) => {
        drained = resolve;
      });
      for (const connection of connections) connection.finish();
      if (connections.size === 0) return;
      const timer = setTimeout(() => drained?.(), milliseconds);
      await empty;
      clearTimeout(timer);
      for (const connection of connections) connection.destroy();
    },
  };
}

// A connection ends when the peer's SVID does, or ours: an identity that ran out proves nothing. The client side retires
// it before, so that in an honest mesh no request is caught.
function watchExpiry(socket: Socket, { now, timeouts }: ListenerSettings) {
  const at = Math.min(
    socket.peer?.pathNotAfter ?? Number.POSITIVE_INFINITY,
    socket.material?.notAfter ?? Number.POSITIVE_INFINITY,
  );
  const watch = {
    timer: undefined as ReturnType<typeof setTimeout> | undefined,
    start(connection: ServerConnection) {
      if (at === Number.POSITIVE_INFINITY) return;
      const left = at - now();
      if (left > 0) {
        watch.timer = setTimeout(() => watch.start(connection), Math.min(left, MAX_TIMER));
        return;
      }
      watch.timer = setTimeout(() => connection.destroy(), timeouts.expiry);
      connection.finish();
    },
  };
  return watch;
}
