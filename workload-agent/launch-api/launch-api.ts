// Launch/Register: a launcher names a process that waits to be let go. Who may give which name is decided here, from
// what the kernel says of both.
import type { Handlers } from '../../daemon/grpc/server.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Logger } from '../../daemon/log.ts';
import { createOccasionalLog } from '../../daemon/occasional-log.ts';
import { LAUNCH_NAME, type LaunchRegistry } from '../../attestors/workload/launch/registry.ts';
import type { Launch } from '../../sdk/api/gen/sigil/launch/v1/launch_pb.ts';
import { messageOf } from '../../sdk/error.ts';
import type { PeerIdentifier } from '../peer/peer.ts';
import type { PinnedProcess } from '../peer/pinned-process.ts';
import { describeProcess } from '../workload-api/attestation.ts';
import { mayLaunch, type Launcher, type LauncherRule } from './launch-authorization.ts';

/** Options of {@link createLaunchApi}. */
export interface LaunchApiOptions {
  readonly registry: LaunchRegistry;
  readonly identifier: Pick<PeerIdentifier, 'pin'>;
  /** Who may give which names over the admin socket. */
  readonly launchers: readonly LauncherRule[];
  readonly log: Logger;
}

export function createLaunchApi(options: LaunchApiOptions): Handlers<typeof Launch, Launcher> {
  const { registry, identifier, launchers, log } = options;
  const refusals = createOccasionalLog();
  return {
    async register({ pid, startTime, name }, { caller }) {
      const by = caller.kind === 'inherited' ? 'the inherited socket' : describeProcess(caller.process);
      if (!LAUNCH_NAME.test(name)) {
        throw new RpcError('INVALID_ARGUMENT', `the name must match ${LAUNCH_NAME.source}`);
      }
      const target = pin(pid);
      let kept = false;
      try {
        if (target.startTime !== startTime) {
          throw new RpcError('FAILED_PRECONDITION', `process ${pid} is not the one that was started`);
        }
        const refusal = mayLaunch(caller, target, name, launchers);
        if (refusal !== undefined) {
          refusals(`${JSON.stringify(by)} ${refusal}`, () =>
            log.warn(
              { caller: by, target: pid, launch_name: name, reason: refusal },
              'refused a launch registration',
            ),
          );
          throw new RpcError('PERMISSION_DENIED', 'this caller may not give this name to this process');
        }
        kept = record(target, name);
        log.info({ caller: by, target: pid, launch_name: name }, 'registered a launched process');
        return {};
      } finally {
        if (!kept) target.close();
      }
    },
  };

  function pin(pid: number): PinnedProcess {
    if (pid <= 0) throw new RpcError('INVALID_ARGUMENT', 'the pid must be positive');
    try {
      return identifier.pin(pid);
    } catch (error) {
      throw new RpcError('NOT_FOUND', messageOf(error));
    }
  }

  function record(target: PinnedProcess, name: string): boolean {
    switch (registry.register(target, name)) {
      case 'registered':
        return true;
      case 'already-named-otherwise':
        throw new RpcError('ALREADY_EXISTS', `process ${target.pid} has another name already`);
      case 'full':
        throw new RpcError('RESOURCE_EXHAUSTED', 'too many launched processes are registered');
    }
  }
}
