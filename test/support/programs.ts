// Real processes for end-to-end tests: the command line, and a whole mesh. Each ends what it started.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runtimeCommand } from '../../cli/runtimes.ts';
import { eventually } from './eventually.ts';

/** What a command did. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A fresh folder. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'sigil-e2e-'));
}

/** Runs `svid` to its end. */
export function svid(
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string } = {},
): Promise<CommandResult> {
  const [command, ...rest] = runtimeCommand('node', 'cli/main.ts', args);
  return run([command, ...rest], options);
}

/** Runs a command to its end. */
export function run(
  [command, ...args]: readonly [string, ...string[]],
  options: { env?: Record<string, string>; input?: string } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...options.env }, stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    // A command may end without reading its input.
    child.stdin.on('error', () => {}).end(options.input ?? '');
  });
}

/** What `svid up --output json` says once it is ready. */
export interface MeshReport {
  readonly identities: readonly { id: string; holder: string; serial: string; expires: string }[];
  readonly calls: readonly { call: string; status: number; requestId: string; decidedBy: string }[];
  readonly processes: readonly { name: string; pid: number }[];
  readonly ports: Readonly<Record<'server' | 'web' | 'orders' | 'payments', number>>;
  readonly sockets: string;
  readonly logs: string;
}

/** A mesh that `svid up` runs. */
export interface RunningMesh {
  readonly report: MeshReport;
  /** The environment in which other commands find it. */
  readonly env: Record<string, string>;
  readonly stderr: () => string;
  /** Sends a signal and waits; gives the exit code and how long it took, in milliseconds. */
  stop(signal: NodeJS.Signals): Promise<{ code: number | null; took: number }>;
}

/** Starts a mesh in a temporary folder of its own, so that it is nobody else's newest one. */
export async function startMesh(args: readonly string[] = []): Promise<RunningMesh> {
  const env = { TMPDIR: await mkdtemp('/tmp/sigil-e2e-') };
  const [command, ...rest] = runtimeCommand('node', 'cli/main.ts', ['up', '--output', 'json', ...args]);
  const child = spawn(command, rest, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const report = await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`svid up ended: ${stderr}`);
      return stdout.endsWith('}\n') && (JSON.parse(stdout) as MeshReport);
    },
    { timeout: 30_000, what: 'the mesh is ready' },
  );
  return { report, env, stderr: () => stderr, stop: (signal) => stop(child, signal) };
}

function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<{ code: number | null; took: number }> {
  const started = performance.now();
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve({ code: child.exitCode, took: 0 });
    child.once('exit', (code) => resolve({ code, took: performance.now() - started }));
    child.kill(signal);
  });
}

/** Whether a process is there and no zombie. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
