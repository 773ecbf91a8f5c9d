// Which process was launched under which name. A name belongs to one process (pid and start time, held by a pidfd):
// it ends with the process, survives exec(2), and does not pass to children.
import type { WorkloadProcess } from '../workload-attestor.ts';

/** What a launch name may look like. */
export const LAUNCH_NAME = /^[a-zA-Z0-9._-]{1,64}$/;

// Each entry holds a descriptor.
const MAX_ENTRIES = 4_096;

/** How a registration went. */
export type RegisterOutcome = 'registered' | 'already-named-otherwise' | 'full';

/** The launched processes of this node. */
export class LaunchRegistry implements Disposable {
  readonly #entries = new Map<number, { readonly process: WorkloadProcess; readonly name: string }>();

  /**
   * Names a process. Unless the outcome is `registered` the process still belongs to the caller, who closes it; a
   * name once given is never changed.
   */
  register(process: WorkloadProcess, name: string): RegisterOutcome {
    if (!LAUNCH_NAME.test(name)) throw new TypeError('the launch name has not been checked');
    if (this.#entries.size >= MAX_ENTRIES) this.sweep();
    const known = this.#living(process.pid);
    if (known !== undefined && known.process.startTime === process.startTime) {
      if (known.name !== name) return 'already-named-otherwise';
    } else if (this.#entries.size >= MAX_ENTRIES) {
      return 'full';
    }
    known?.process.close();
    this.#entries.set(process.pid, { process, name });
    return 'registered';
  }

  /** The name of a process, if it is the one that was launched. */
  nameOf(process: WorkloadProcess): string | undefined {
    const entry = this.#living(process.pid);
    return entry?.process.startTime === process.startTime ? entry.name : undefined;
  }

  /** Forgets the processes that have ended. */
  sweep(): void {
    for (const pid of this.#entries.keys()) this.#living(pid);
  }

  get size(): number {
    return this.#entries.size;
  }

  [Symbol.dispose](): void {
    for (const { process } of this.#entries.values()) process.close();
    this.#entries.clear();
  }

  #living(pid: number): { readonly process: WorkloadProcess; readonly name: string } | undefined {
    const entry = this.#entries.get(pid);
    if (entry === undefined || entry.process.isAlive()) return entry;
    entry.process.close();
    this.#entries.delete(pid);
    return undefined;
  }
}
