// The command lines that run our programs on Node, Bun and Deno. The runtimes come with the package.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Runtime = 'bun' | 'deno' | 'node';

/** The folder of the package. */
export const PACKAGE_FOLDER = dirname(dirname(fileURLToPath(import.meta.url)));

// What the proxy needs on Deno: sockets, its own files, SPIFFE_ENDPOINT_SOCKET, and what grpc-js and pino ask of the
// environment and the system. No subprocesses, no FFI.
const DENO_FLAGS = [
  'run',
  '--no-check',
  '--quiet',
  '--allow-net',
  '--allow-read',
  '--allow-write',
  '--allow-env',
  '--allow-sys',
];

/** The command that runs a program of ours on a runtime. */
export function runtimeCommand(
  runtime: Runtime,
  program: string,
  args: readonly string[],
): [string, ...string[]] {
  const script = join(PACKAGE_FOLDER, program);
  switch (runtime) {
    case 'node':
      return [process.execPath, '--disable-warning=ExperimentalWarning', script, ...args];
    case 'bun':
      return [binary('bun', 'bin/bun.exe'), script, ...args];
    case 'deno':
      return [binary('deno', 'deno'), ...DENO_FLAGS, script, ...args];
  }
}

function binary(name: string, file: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return join(dirname(manifest), file);
}
