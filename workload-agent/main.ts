// The workload-agent program: arguments, configuration, signals, exit code.
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig } from '../daemon/config.ts';
import { runUntilSignal } from '../daemon/lifecycle.ts';
import { createLog } from '../daemon/log.ts';
import { messageOf } from '../sdk/error.ts';
import { runWorkloadAgent } from './agent.ts';
import { workloadAgentConfigSchema } from './config.ts';
import { readFirstLine } from './first-line.ts';

export { runWorkloadAgent, type RunWorkloadAgentOptions } from './agent.ts';

const USAGE = `usage: workload-agent --config FILE [--exit-with-parent] [--launch-fd N]

  --config FILE        the configuration file (YAML)
  --exit-with-parent   stop when standard input closes
  --launch-fd N        register launched processes from the socket pair that was inherited as descriptor N

example: workload-agent --config /etc/sigil/workload-agent.yaml`;

class UsageError extends Error {}

interface Arguments {
  readonly config: string;
  readonly exitWithParent: boolean;
  readonly launchFd: number | undefined;
}

function parseArguments(args: string[]): Arguments | 'help' {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        config: { type: 'string' },
        'exit-with-parent': { type: 'boolean', default: false },
        'launch-fd': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  if (values.help) return 'help';
  if (values.config === undefined) throw new UsageError('--config FILE is missing');
  const launchFd = values['launch-fd'];
  if (launchFd !== undefined && !/^\d{1,4}$/.test(launchFd)) {
    throw new UsageError('--launch-fd must be the number of a descriptor');
  }
  return {
    config: values.config,
    exitWithParent: values['exit-with-parent'],
    launchFd: launchFd === undefined ? undefined : Number(launchFd),
  };
}

async function main(): Promise<void> {
  const args = parseArguments(process.argv.slice(2));
  if (args === 'help') {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const config = await loadConfig(workloadAgentConfigSchema, args.config);
  const log = createLog({ name: 'workload-agent', level: config.log_level });
  // Read before anything else listens to standard input, and only once: a join token is good for one attestation.
  const token = config.join_token_file === '-' ? await readFirstLine(process.stdin) : undefined;
  await runUntilSignal(
    (signal) => {
      const readToken = token === undefined ? undefined : async () => token;
      return runWorkloadAgent(config, { signal, log, launchFd: args.launchFd, readToken });
    },
    { exitWithParent: args.exitWithParent },
  );
}

if (import.meta.main) {
  try {
    await main();
    process.exitCode = 0;
  } catch (error) {
    process.stderr.write(`workload-agent: error: ${messageOf(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`${USAGE}\n`);
    process.exitCode = error instanceof ConfigError || error instanceof UsageError ? 2 : 1;
  }
  // Nothing may keep a stopped agent alive: a call that hangs, an idle channel.
  process.exit();
}
