// A party in a process of its own, on a runtime of choice, as the suite sees it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { runtimeCommand, type Runtime } from '../../cli/runtimes.ts';
import type { Commands } from './party.ts';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A party: each command as a method that gives a promise. */
export type Party = {
  readonly [Name in keyof Commands]: (
    ...options: Parameters<Commands[Name]>
  ) => Promise<Awaited<ReturnType<Commands[Name]>>>;
} & { readonly end: () => Promise<void> };

const COMMAND_TIMEOUT = 15_000;

/** Starts a party. */
export function startParty(runtime: Runtime): Party {
  const [command, ...args] = runtimeCommand(runtime, 'test/runtime/party.ts', []);
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = new Map<number, Waiting>();
  let [next, stderr] = [0, ''];
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { id, value, error, code } = JSON.parse(line) as {
      id: number;
      value?: unknown;
      error?: string;
      code?: string;
    };
    const waiter = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) waiter?.resolve(value);
    else waiter?.reject(Object.assign(new Error(`${runtime}: ${error}`), { code }));
  });
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error(`${runtime} ended: ${stderr}`));
  });
  const send = (name: string, options: unknown) =>
    new Promise<unknown>((resolve, reject) => {
      const id = next++;
      const timer = setTimeout(
        () => reject(new Error(`${runtime}: ${name} took too long; ${stderr}`)),
        COMMAND_TIMEOUT,
      );
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      child.stdin!.write(`${JSON.stringify({ id, command: name, options })}\n`);
    });
  const end = async () => {
    if (child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.stdin!.end();
    await exited;
  };
  return new Proxy({} as Party, {
    get: (_, name: string) => (name === 'end' ? end : (options: unknown) => send(name, options)),
  });
}
