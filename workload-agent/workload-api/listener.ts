// The Unix sockets of the agent: each connection is attributed to a process at once, by the kernel.
import type { Socket } from 'node:net';
import { listenGrpcUnix } from '../../daemon/grpc/unix-listener.ts';
import type { Logger } from '../../daemon/log.ts';
import type { PeerIdentifier } from '../peer/peer.ts';
import type { PinnedProcess } from '../peer/pinned-process.ts';
import { UserLimit } from './limits.ts';
import { createOccasionalLog } from '../../daemon/occasional-log.ts';

/** A process that connected. */
export interface WorkloadCaller {
  readonly kind: 'process';
  /** Held until the connection closes. */
  readonly process: PinnedProcess;
  /** Ends the connection once the answer under way is out. */
  disconnect(): void;
}

/** Options of {@link listenForProcesses}. */
export interface ProcessListenerOptions {
  readonly path: string;
  readonly mode: number;
  /** The configuration key of the path, for messages. */
  readonly option: string;
  readonly identifier: PeerIdentifier;
  /** What takes the connections over. */
  readonly server: { serve(socket: Socket, caller: WorkloadCaller): void };
  readonly log: Logger;
  /** Connections that one user may have open. Default 1,024. */
  readonly connectionsPerUser?: number;
}

const DISCONNECT_DELAY = 100;

/** Binds the socket; the returned function closes it and removes its file. */
export async function listenForProcesses(options: ProcessListenerOptions): Promise<() => void> {
  const connections = new UserLimit(options.connectionsPerUser ?? 1_024);
  const refusals = createOccasionalLog();
  return listenGrpcUnix<PinnedProcess>({
    path: options.path,
    mode: options.mode,
    option: options.option,
    log: options.log,
    identify: (socket) => options.identifier.identify(socket),
    onConnection(socket, process) {
      const release = connections.take(process.uid);
      if (release === undefined) {
        process.close();
        socket.destroy();
        refusals(String(process.uid), () =>
          options.log.warn({ uid: process.uid }, 'refused connections: this user has too many open'),
        );
        return;
      }
      socket.once('close', () => {
        release();
        process.close();
      });
      options.server.serve(socket, { kind: 'process', process, disconnect: () => disconnect(socket) });
    },
  });
}

function disconnect(socket: Socket): void {
  setTimeout(() => socket.destroy(), DISCONNECT_DELAY).unref();
}
