// Who may give which name to which process. Pure but for the liveness that the pinned processes tell.
import type { WorkloadCaller } from '../workload-api/listener.ts';
import type { PinnedProcess } from '../peer/pinned-process.ts';

/** The other end of the socket pair that the agent was started with: whoever started the agent. */
export interface InheritedCaller {
  readonly kind: 'inherited';
}

/** Who registers. */
export type Launcher = InheritedCaller | WorkloadCaller;

/** A user who may launch, and the names that he may give. */
export interface LauncherRule {
  readonly uid: number;
  readonly names: readonly string[];
}

/** Why a registration is refused; undefined if it is not. */
export function mayLaunch(
  caller: Launcher,
  target: PinnedProcess,
  name: string,
  launchers: readonly LauncherRule[],
): string | undefined {
  if (caller.kind === 'inherited') return undefined;
  const launcher = caller.process;
  if (!launchers.some((rule) => rule.uid === launcher.uid && rule.names.includes(name))) {
    return 'no launcher in the configuration has this uid and this name';
  }
  const change = launcher.change();
  if (change !== undefined) return `the caller changed: ${change}`;
  // All four user ids: a set-uid program that a user starts runs for another.
  if (target.uids.some((uid) => uid !== launcher.uid)) return 'the process runs as another user';
  if (target.parent !== launcher.pid) return 'the process is no child of the caller';
  return undefined;
}
