// For tests only: the command line as a shell runs it, against a real server.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { startTestServer, type TestServer } from '../identity-server/testing.ts';

/** Every command is a process of its own: a test of several takes a while on a busy machine. */
export const TIMEOUT = 60_000;

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const NODE = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));

/** What became of a command. */
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A server, a folder, and a shell. */
export interface CliBench extends AsyncDisposable {
  readonly server: TestServer;
  readonly folder: string;
  svid(args: readonly string[], input?: string): Promise<Run>;
  /** Standard output of a command that must succeed. */
  well(args: readonly string[], input?: string): Promise<string>;
  /** The same as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into documents of any shape
  json(args: readonly string[], input?: string): Promise<any>;
}

export async function startCliBench(): Promise<CliBench> {
  const server = await startTestServer({ config: { experimental: { wit_svids: true } } });
  const folder = mkdtempSync(join(tmpdir(), 'svid-cli-'));
  const svid: CliBench['svid'] = (args, input = '') =>
    new Promise((resolve) => {
      const env = { ...process.env, SIGIL_SERVER_SOCKET: server.server.socketPath };
      const command = ['--disable-warning=ExperimentalWarning', MAIN, ...args];
      const child = execFile(NODE, command, { env }, (error, out, err) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
      );
      // A command may end without reading its input.
      child.stdin!.on('error', () => {}).end(input);
    });
  const well: CliBench['well'] = async (args, input) => {
    const { code, out, err } = await svid(args, input);
    expect(`${code} ${err}`).toMatch(/^0 /);
    return out;
  };
  return {
    server,
    folder,
    svid,
    well,
    json: async (args, input) => JSON.parse(await well([...args, '--output', 'json'], input)),
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true });
      await server[Symbol.asyncDispose]();
    },
  };
}
