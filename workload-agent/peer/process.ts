// What /proc says of a process. Readings are only worth something while a pidfd proves that the pid was not recycled:
// the caller checks that after it has read, never before.
import { readFileSync, readlinkSync } from 'node:fs';

/** Facts about a process. They change by exec(2) and setuid(2), which is why they are compared again later. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /**
   * Field 22 of /proc/PID/stat: clock ticks since boot. A tick is 10 ms, within which a pid can be recycled (seen in a
   * test): it supports the pidfd and never replaces it.
   */
  readonly startTime: bigint;
  /** One of R S D Z T ...; Z is a process that has ended and was not waited for. */
  readonly state: string;
  /** Effective. */
  readonly uid: number;
  readonly gid: number;
  /** Real, effective, saved and file system user id: all alike unless a set-uid program runs. */
  readonly uids: readonly number[];
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** The executable, as the kernel names it; undefined if this agent may not see it. */
  readonly executable: string | undefined;
}

/** Facts about a process, or undefined if there is none. */
export function readProcess(pid: number): ProcessFacts | undefined {
  const folder = `/proc/${pid}`;
  try {
    const stat = parseStat(readFileSync(`${folder}/stat`, 'latin1'));
    const status = parseStatus(readFileSync(`${folder}/status`, 'latin1'));
    return { pid, ...stat, ...status, executable: readExecutable(folder) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Reads /proc/PID/stat. The second field is the program's name, which may hold spaces and brackets of its own. */
export function parseStat(text: string): Pick<ProcessFacts, 'parent' | 'startTime' | 'state'> {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(' ');
  const [state, parent] = fields;
  const startTime = fields[19]; // field 22, counted from the third
  if (state === undefined || !/^\d+$/.test(parent ?? '') || !/^\d+$/.test(startTime ?? '')) {
    throw new Error('/proc/PID/stat has an unknown form');
  }
  return { state, parent: Number(parent), startTime: BigInt(startTime!) };
}

/** Reads the credentials in /proc/PID/status. */
export function parseStatus(text: string): Pick<ProcessFacts, 'uid' | 'gid' | 'uids' | 'groups'> {
  const numbers = (key: string): number[] => {
    // Only at the start of a line: the first line is `Name:`, which the process chooses (the kernel escapes newlines).
    const line = new RegExp(`^${key}:[ \\t]*(.*)$`, 'm').exec(text)?.[1];
    if (line === undefined) throw new Error(`/proc/PID/status has no ${key}`);
    return line.trim() === '' ? [] : line.trim().split(/\s+/).map(Number);
  };
  const uids = numbers('Uid');
  const gids = numbers('Gid');
  if (uids.length !== 4 || gids.length !== 4) throw new Error('/proc/PID/status has an unknown form');
  return { uid: uids[1]!, gid: gids[1]!, uids, groups: numbers('Groups') };
}

function readExecutable(folder: string): string | undefined {
  try {
    return readlinkSync(`${folder}/exe`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another user's process, or one that has ended; the state and the pidfd tell which.
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENOENT') return undefined;
    throw error;
  }
}
