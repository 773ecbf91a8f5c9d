// A process that is held by a pidfd: while the pidfd says that it lives, its pid is its own and nobody else's.
import { closeSync, readFileSync } from 'node:fs';
import type { WorkloadProcess } from '../../attestors/workload/workload-attestor.ts';
import { readProcess, type ProcessFacts } from './process.ts';

/** A process, with the facts that were read while it was pinned. Close it, or its descriptor leaks. */
export class PinnedProcess implements WorkloadProcess, Disposable {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  readonly gid: number;
  readonly uids: readonly number[];
  readonly groups: readonly number[];
  readonly startTime: bigint;
  readonly executable: string | undefined;
  #pidfd: number | undefined;

  constructor(facts: ProcessFacts, pidfd: number) {
    this.pid = facts.pid;
    this.parent = facts.parent;
    this.uid = facts.uid;
    this.gid = facts.gid;
    this.uids = facts.uids;
    this.groups = facts.groups;
    this.startTime = facts.startTime;
    this.executable = facts.executable;
    this.#pidfd = pidfd;
  }

  /** Whether the process still runs. One that ended but was not waited for does not. */
  isAlive(): boolean {
    return this.#current() !== undefined;
  }

  /** What differs from the facts at the time of pinning, for the log; undefined if nothing does. */
  change(): string | undefined {
    const now = this.#current();
    if (now === undefined) return 'the process has ended';
    if (now.startTime !== this.startTime) return 'the start time differs';
    if (now.executable !== this.executable) return 'the executable differs';
    if (now.uid !== this.uid || now.gid !== this.gid) return 'the user or group differs';
    if (now.uids.join() !== this.uids.join()) return 'the user ids differ';
    return now.groups.join() === this.groups.join() ? undefined : 'the supplementary groups differ';
  }

  close(): void {
    if (this.#pidfd === undefined) return;
    closeSync(this.#pidfd);
    this.#pidfd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // Facts first, the pidfd after: then they were this process's.
  #current(): ProcessFacts | undefined {
    if (this.#pidfd === undefined) return undefined;
    const facts = readProcess(this.pid);
    if (facts === undefined || hasEnded(facts) || !isPidfdAlive(this.#pidfd, this.pid)) return undefined;
    return facts.startTime === this.startTime ? facts : undefined;
  }
}

/**
 * Reads the facts of the process behind a pidfd, which from then on belongs to the result; on any failure it is closed.
 *
 * @throws Error if the process has ended.
 */
export function pinProcess(pid: number, pidfd: number): PinnedProcess {
  try {
    const facts = readProcess(pid);
    if (facts === undefined || hasEnded(facts) || !isPidfdAlive(pidfd, pid)) {
      throw new Error(`process ${pid} has ended`);
    }
    return new PinnedProcess(facts, pidfd);
  } catch (error) {
    closeSync(pidfd);
    throw error;
  }
}

/** Whether a pidfd is one of this pid, and its process has not been reaped (`Pid:` is then -1). */
export function isPidfdAlive(pidfd: number, pid: number): boolean {
  const shown = /^Pid:\s*(-?\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'latin1'))?.[1];
  return pid > 0 && Number(shown ?? -1) === pid;
}

function hasEnded(facts: ProcessFacts): boolean {
  return facts.state === 'Z' || facts.state === 'X';
}
