// Free TCP ports, for a mesh that names none.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { CliError, ExitCode } from '../errors.ts';
import { PORT_NAMES, type PortName } from './plan.ts';

// Below Linux's range for outgoing connections (32768 to 60999): no connection of ours or of others takes the port
// between the look and the bind.
const LOWEST = 20_000;
const HIGHEST = 32_000;
const ATTEMPTS = 200;

/**
 * Ports for all names: the given ones, and free ones for the rest.
 *
 * @throws CliError for a name or number that is wrong, or a port that is in use.
 */
export async function choosePorts(named: readonly string[]): Promise<Record<PortName, number>> {
  const ports: Partial<Record<PortName, number>> = {};
  for (const text of named) {
    const [name, number] = parse(text);
    const problem = Object.values(ports).includes(number) ? 'EADDRINUSE' : await problemOf(number);
    if (problem !== undefined) {
      const why = problem === 'EACCES' ? 'may be used by root only' : 'is in use';
      throw new CliError(`port ${number} (--port ${name}=${number}) ${why}`, {
        hint: 'choose another, or leave the option out for a free one',
      });
    }
    ports[name] = number;
  }
  for (const name of PORT_NAMES) ports[name] ??= await freePort(new Set(Object.values(ports)));
  return ports as Record<PortName, number>;
}

function parse(text: string): [PortName, number] {
  const match = /^([a-z]+)=(\d{1,5})$/.exec(text);
  const name = PORT_NAMES.find((known) => known === match?.[1]);
  const number = Number(match?.[2]);
  if (name === undefined || !(number > 0 && number < 65_536)) {
    throw new CliError(
      `--port ${text}: write NAME=PORT, NAME one of ${PORT_NAMES.join(', ')} and PORT 1 to 65535`,
      {
        exitCode: ExitCode.usage,
      },
    );
  }
  return [name, number];
}

async function freePort(taken: ReadonlySet<number>): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (!taken.has(port) && (await problemOf(port)) === undefined) return port;
  }
  throw new CliError(`no free port between ${LOWEST} and ${HIGHEST}`, { hint: 'name one with --port' });
}

// Why a port cannot be listened on, as a system error code; undefined if it can.
function problemOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EADDRINUSE'));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
