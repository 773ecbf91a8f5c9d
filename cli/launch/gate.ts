// A process that waits before it runs its program: the launcher has time to tell the agent which process it is.
// The gate is /bin/sh on a pipe, which then execs: the process id and its start time stay the same.
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { parseStat } from '../../workload-agent/peer/process.ts';

/** A process behind its gate. */
export interface GatedProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: bigint;
  /** Lets it run its program. */
  readonly release: () => void;
}

// The launcher's end closing, without the word, ends the gate: a program never runs without its name.
const GATE = 'IFS= read -r word <&3 && [ "$word" = go ] && exec "$@" 3<&-';
const GATE_DESCRIPTOR = 3;

/** Starts a command behind a gate. `stdio` is for descriptors 0, 1 and 2. */
export function spawnGated(
  [command, ...args]: readonly [string, ...string[]],
  options: {
    stdio: [StdioOption, StdioOption, StdioOption];
    env?: NodeJS.ProcessEnv;
    cwd?: string;
    detached?: boolean;
  },
): GatedProcess {
  const stdio: StdioOptions = [...options.stdio, 'pipe'];
  const child = spawn('/bin/sh', ['-c', GATE, 'sigil-gate', command, ...args], {
    stdio,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    detached: options.detached ?? false,
  });
  if (child.pid === undefined) throw new Error('/bin/sh could not be started');
  const gate = child.stdio[GATE_DESCRIPTOR] as Writable;
  gate.on('error', () => {}); // The process may end before its gate opens.
  return {
    child,
    pid: child.pid,
    startTime: startTimeOf(child.pid),
    release: () => gate.end('go\n'),
  };
}

type StdioOption = 'pipe' | 'inherit' | 'ignore' | number;

/** The start time of a process, read as the agent will read it. */
export function startTimeOf(pid: number): bigint {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1')).startTime;
}
