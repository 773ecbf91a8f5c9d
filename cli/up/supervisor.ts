// Keeps processes running: starts them again when they end, and ends them all at once.
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createBackoff, delay } from '../../sdk/backoff.ts';
import { CliError } from '../errors.ts';

/** How to start one process; `log` is the descriptor for its standard error. */
export type StartProcess = (log: number) => Promise<ChildProcess>;

// Everything has 3 s to be gone: processes have 2.5 s of their own, and are then ended.
const STOP_GRACE = 2_400;

interface Running {
  readonly name: string;
  child: ChildProcess;
  readonly stopping: AbortController;
}

/** Processes that belong together. */
export class Supervisor {
  readonly #logOf: (name: string) => string;
  readonly #note: (text: string) => void;
  readonly #running = new Map<string, Running>();
  readonly #starting = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: { logOf: (name: string) => string; note: (text: string) => void }) {
    this.#logOf = options.logOf;
    this.#note = options.note;
  }

  /**
   * Starts a process and keeps it running.
   *
   * @throws CliError once everything was told to end.
   */
  async start(name: string, start: StartProcess): Promise<void> {
    const starting = this.#start(name, start);
    this.#starting.add(starting);
    try {
      await starting;
    } finally {
      this.#starting.delete(starting);
    }
  }

  /** The process id, for people. */
  pidOf(name: string): number | undefined {
    return this.#running.get(name)?.child.pid;
  }

  /** Names and process ids. */
  processes(): { name: string; pid: number }[] {
    return [...this.#running.values()].map(({ name, child }) => ({ name, pid: child.pid ?? 0 }));
  }

  /**
   * Waits until `isReady` says so, as long as the process lives.
   *
   * @throws CliError with the end of the process's log.
   */
  async ready(name: string, isReady: () => Promise<boolean>, timeout: number): Promise<void> {
    const deadline = performance.now() + timeout;
    const { child } = this.#running.get(name)!;
    for (;;) {
      if (await isReady()) return;
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || performance.now() > deadline) {
        throw new CliError(`${name} ${ended ? 'ended' : 'is not ready'}: ${this.#lastWords(name)}`, {
          hint: `its log is ${this.#logOf(name)}`,
        });
      }
      await delay(25);
    }
  }

  /** Ends one process for good. */
  async stop(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#running.delete(name);
    running.stopping.abort();
    await end(running.child);
  }

  /** Ends all processes for good, also those that are only being started; none is started after this. */
  async stopAll(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#running.keys()].map((name) => this.stop(name)));
    await Promise.allSettled(this.#starting);
  }

  async #start(name: string, start: StartProcess): Promise<void> {
    const stopped = () => new CliError(`${name} is not started: everything is being stopped`);
    if (this.#stopped) throw stopped();
    const child = await this.#spawn(name, start);
    if (this.#stopped) {
      await end(child);
      throw stopped();
    }
    const running: Running = { name, child, stopping: new AbortController() };
    this.#running.set(name, running);
    this.#watch(running, start);
  }

  async #spawn(name: string, start: StartProcess): Promise<ChildProcess> {
    const log = openSync(this.#logOf(name), 'a', 0o600);
    try {
      return await start(log);
    } finally {
      closeSync(log);
    }
  }

  #watch(running: Running, start: StartProcess): void {
    const { signal } = running.stopping;
    const backoff = createBackoff({ initial: 500, max: 5_000 });
    const again = async (code: number | null, by: NodeJS.Signals | null) => {
      if (signal.aborted) return;
      const wait = backoff.next();
      this.#note(
        `${running.name} ended (${by ?? `exit code ${code}`}); starting it again in ${Math.round(wait)} ms`,
      );
      await delay(wait, signal);
      if (signal.aborted) return;
      try {
        running.child = await this.#spawn(running.name, start);
      } catch (error) {
        this.#note(`${running.name} could not be started: ${(error as Error).message}`);
        await again(1, null);
        return;
      }
      // Stopped while it started: then nobody else ends it.
      if (signal.aborted) await end(running.child);
      else running.child.once('exit', (code, by) => void again(code, by));
    };
    running.child.once('exit', (code, by) => void again(code, by));
  }

  #lastWords(name: string): string {
    try {
      const lines = readFileSync(this.#logOf(name), 'utf8').trim().split('\n');
      return lines.at(-1)?.slice(0, 500) ?? '';
    } catch {
      return 'it left no log';
    }
  }
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
    child.stdin?.destroy();
  });
}
