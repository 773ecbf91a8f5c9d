// The Unix socket side of a gRPC server. Who the caller is, the kernel says: `identify` asks it.
import { createServer, type Socket } from 'node:net';
import { messageOf } from '../../sdk/error.ts';
import type { Logger } from '../log.ts';
import { createOccasionalLog } from '../occasional-log.ts';
import { listenUnix } from '../sockets.ts';

/** Options of {@link listenGrpcUnix}. */
export interface UnixListenerOptions<Caller> {
  readonly path: string;
  readonly mode: number;
  /** The configuration key of the path, for messages. */
  readonly option: string;
  readonly log: Logger;
  /** Finds out who is at the other end, at once on accept; throws to refuse. */
  readonly identify: (socket: Socket) => Caller;
  readonly onConnection: (socket: Socket, caller: Caller) => void;
  /** Default 4,096. */
  readonly maxConnections?: number;
}

/** Binds the socket; the returned function closes it and removes its file. */
export async function listenGrpcUnix<Caller>(options: UnixListenerOptions<Caller>): Promise<() => void> {
  // Any local process could fill the log with these.
  const refusals = createOccasionalLog();
  const server = createServer((socket) => {
    let caller: Caller;
    try {
      caller = options.identify(socket);
    } catch (error) {
      refusals(messageOf(error), () =>
        options.log.warn(
          { err: error, path: options.path },
          'refused a connection: its peer cannot be identified',
        ),
      );
      socket.destroy();
      return;
    }
    options.onConnection(socket, caller);
  });
  server.maxConnections = options.maxConnections ?? 4_096;
  await listenUnix(server, options.path, options.mode, options.option);
  return () => server.close();
}
