// svid run --as NAME -- COMMAND
import { status } from '@grpc/grpc-js';
import { constants } from 'node:os';
import { Launch } from '../../sdk/api/gen/sigil/launch/v1/launch_pb.ts';
import { agentAdminSocket, localClient } from '../endpoints.ts';
import { cliErrorOf } from '../errors.ts';
import { spawnGated } from '../launch/gate.ts';

const FORWARDED = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
  'SIGWINCH',
] as const;

export async function run(command: string[], options: { as: string; agentSocket?: string }): Promise<void> {
  const socket = agentAdminSocket(options.agentSocket);
  const { child, pid, startTime, release } = spawnGated(command as [string, ...string[]], {
    stdio: ['inherit', 'inherit', 'inherit'],
  });
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal!] ?? 0)));
  });
  using client = localClient(socket);
  try {
    await client.unary(Launch.method.register, { pid, startTime, name: options.as }, { timeout: 10_000 });
  } catch (error) {
    child.kill('SIGKILL');
    // An agent that does not answer has refused nothing.
    const refused = error instanceof Error && 'code' in error && error.code === status.PERMISSION_DENIED;
    const what = refused ? ` does not vouch for the name ${options.as}` : '';
    throw cliErrorOf(error, `the agent at ${socket}${what}`);
  }
  client.close();
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  release();
  process.exitCode = await ended;
  for (const signal of FORWARDED) process.removeAllListeners(signal);
}
