// What a workload attestor is: it looks at a process that the kernel named, and says what is true of it.

/** A statement about a process, such as `unix` `uid:1000`. */
export interface Selector {
  readonly type: string;
  readonly value: string;
}

/** A process that the agent holds by a pidfd, so that its pid cannot be recycled while an attestor reads about it. */
export interface WorkloadProcess {
  readonly pid: number;
  readonly parent: number;
  /** Clock ticks since boot. */
  readonly startTime: bigint;
  /** Effective user and group. */
  readonly uid: number;
  readonly gid: number;
  /** Real, effective, saved, file system. */
  readonly uids: readonly number[];
  readonly groups: readonly number[];
  /** The executable as the kernel names it; undefined if the agent may not see it. */
  readonly executable: string | undefined;
  isAlive(): boolean;
  close(): void;
}

/** Finds selectors of one kind. It reads only what the kernel or the platform vouches for, never the process's word. */
export interface WorkloadAttestor {
  /** The type of its selectors, such as `unix`. */
  readonly name: string;
  /**
   * The selectors of a process; none if it has none of this kind.
   *
   * @throws if it cannot tell: the other attestors' selectors then stand alone.
   */
  attest(process: WorkloadProcess, signal: AbortSignal): Promise<readonly Selector[]>;
}

/** The text form of a selector: `type:value`. */
export function selectorText(selector: Selector): string {
  return `${selector.type}:${selector.value}`;
}
