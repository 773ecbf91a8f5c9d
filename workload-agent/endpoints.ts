// The places where the agent can be reached, and which service is served at which.
import { Socket } from 'node:net';
import { RpcError } from '../daemon/grpc/rpc-error.ts';
import { GrpcServer } from '../daemon/grpc/server.ts';
import type { Logger } from '../daemon/log.ts';
import { Launch } from '../sdk/api/gen/sigil/launch/v1/launch_pb.ts';
import { SpiffeWorkloadAPI } from '../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { createLaunchApi, type LaunchApiOptions } from './launch-api/launch-api.ts';
import type { Launcher } from './launch-api/launch-authorization.ts';
import type { PeerIdentifier } from './peer/peer.ts';
import { UserLimit } from './workload-api/limits.ts';
import { listenForProcesses, type WorkloadCaller } from './workload-api/listener.ts';
import { expectSecurityHeader } from './workload-api/security-header.ts';
import { createWorkloadApi, type WorkloadApiOptions } from './workload-api/workload-api.ts';

// Requests are a token at most. With the calls of a user, this bounds what one user can make the agent hold.
const LIMITS = { streams: 1_000, messageBytes: 64 * 1024 };
const CALLS_PER_USER = 4_096;

/** Options of {@link serveWorkloadApi}. */
export interface WorkloadEndpointOptions extends WorkloadApiOptions {
  readonly path: string;
  readonly identifier: PeerIdentifier;
  readonly connectionsPerUser?: number;
}

/** Serves the Workload API, and nothing else, to every local process. The returned function ends it. */
export async function serveWorkloadApi(options: WorkloadEndpointOptions): Promise<() => void> {
  const { path, identifier, connectionsPerUser, log } = options;
  const calls = new UserLimit(CALLS_PER_USER);
  const server = new GrpcServer<WorkloadCaller>({
    log,
    guard: (call) => expectSecurityHeader(call.metadata),
    admit({ caller }) {
      const release = calls.take(caller.process.uid);
      if (release !== undefined) return release;
      throw new RpcError('RESOURCE_EXHAUSTED', 'this user has too many calls open');
    },
    limits: LIMITS,
    onCall: (call, code, milliseconds) =>
      log.debug(
        { path: call.path, caller: call.caller.process.pid, code, ms: Math.round(milliseconds) },
        'call',
      ),
  }).add(SpiffeWorkloadAPI, createWorkloadApi(options));
  const listener = { path, mode: 0o777, option: 'socket_path', identifier, server, log, connectionsPerUser };
  const unbind = await listenForProcesses(listener);
  return () => {
    unbind();
    server.close();
  };
}

/** Options of {@link serveAdmin}. */
export interface AdminEndpointOptions extends LaunchApiOptions {
  readonly path: string;
  readonly mode: number;
  readonly identifier: PeerIdentifier;
  readonly log: Logger;
  /** The descriptor of a socket pair that this process inherited, if any. */
  readonly launchFd?: number;
}

/** Serves operators and launchers. The returned function ends it. */
export async function serveAdmin(options: AdminEndpointOptions): Promise<() => void> {
  const { path, mode, identifier, log, launchFd } = options;
  const server = new GrpcServer<Launcher>({ log, limits: LIMITS }).add(Launch, createLaunchApi(options));
  const unbind = await listenForProcesses({
    path,
    mode,
    option: 'admin_socket_path',
    identifier,
    server,
    log,
  });
  if (launchFd !== undefined) {
    const socket = new Socket({ fd: launchFd, readable: true, writable: true });
    socket.once('close', () => log.debug('the inherited launch socket was closed'));
    server.serve(socket, { kind: 'inherited' });
  }
  return () => {
    unbind();
    server.close();
  };
}
