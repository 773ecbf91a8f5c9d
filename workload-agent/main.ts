// The workload-agent program: arguments, configuration, signals.
import { loadConfig } from '../daemon/config.ts';
import { runUntilSignal } from '../daemon/lifecycle.ts';
import { createLog } from '../daemon/log.ts';
import { runProgram, UsageError, type ProgramArguments } from '../daemon/program.ts';
import { runWorkloadAgent } from './agent.ts';
import { workloadAgentConfigSchema } from './config.ts';
import { readFirstLine } from './first-line.ts';

export { runWorkloadAgent, type RunWorkloadAgentOptions } from './agent.ts';

const USAGE = `usage: workload-agent --config FILE [--exit-with-parent] [--launch-fd N]

  --config FILE        the configuration file (YAML)
  --exit-with-parent   stop when standard input closes
  --launch-fd N        register launched processes from the socket pair that was inherited as descriptor N

example: workload-agent --config /etc/sigil/workload-agent.yaml
`;

const LAUNCH_FD = 'launch-fd';

async function main({ config: file, exitWithParent, own }: ProgramArguments): Promise<void> {
  const launchFd = descriptorOf(own[LAUNCH_FD]);
  const config = await loadConfig(workloadAgentConfigSchema, file);
  const log = createLog({ name: 'workload-agent', level: config.log_level });
  // Read before anything else listens to standard input, and only once: a join token is good for one attestation.
  const token = config.join_token_file === '-' ? await readFirstLine(process.stdin) : undefined;
  const readToken = token === undefined ? undefined : async () => token;
  await runUntilSignal((signal) => runWorkloadAgent(config, { signal, log, launchFd, readToken }), {
    exitWithParent,
  });
}

function descriptorOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,4}$/.test(text)) throw new UsageError('--launch-fd must be the number of a descriptor');
  return Number(text);
}

if (import.meta.main) {
  await runProgram(
    { name: 'workload-agent', usage: USAGE, ownOptions: [LAUNCH_FD], main },
    process.argv.slice(2),
  );
}
