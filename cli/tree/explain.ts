// svid explain
import type { Command } from 'commander';
import { outputOption, serverSocketOption } from '../options.ts';

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('Say which identities a workload gets, which it nearly gets, and what is missing.')
    .requiredOption('--agent <id>', 'the SPIFFE ID of the agent that the workload runs with')
    .option('--selector <type:value...>', 'what the workload shows; the agent logs it when it issues nothing')
    .option('--spiffe-id <id>', 'only this identity, however far it is from matching')
    .option('--limit <number>', 'how many that nearly match are told, at most 200', '20')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  svid explain --agent spiffe://example.org/spire/agent/x509pop/node-1 --selector unix:uid:1000',
    )
    .action(async (options) => (await import('../commands/explain.ts')).explain(options));
}
