// svid agent list ... and svid token ...: the agents that a server knows, and how they come in.
import { Option, type Command } from 'commander';
import { matchOption, outputOption, serverSocketOption } from '../options.ts';

/** Below `svid agent`, which runs an agent. */
export function addAgentCommands(agent: Command): void {
  filtered(agent.command('list').description('List the agents that have attested.'))
    .addHelpText('after', '\nExample:\n  svid agent list --output json')
    .action(async (options) => (await import('../commands/agent.ts')).list(options));
  filtered(agent.command('count').description('Count the agents that have attested.'))
    .addHelpText('after', '\nExample:\n  svid agent count --banned true')
    .action(async (options) => (await import('../commands/agent.ts')).count(options));
  named(agent.command('show').description('Show one agent and its selectors.'))
    .addHelpText('after', '\nExample:\n  svid agent show spiffe://example.org/spire/agent/x509pop/0a1b')
    .action(async (id, options) => (await import('../commands/agent.ts')).show(id, options));
  named(agent.command('ban').description('Ban an agent: it can neither work nor attest until it is evicted.'))
    .addHelpText('after', '\nExample:\n  svid agent ban spiffe://example.org/spire/agent/x509pop/0a1b')
    .action(async (id, options) => (await import('../commands/agent.ts')).ban(id, options));
  named(agent.command('evict').description('Forget an agent: it has to attest again.'))
    .addHelpText('after', '\nExample:\n  svid agent evict spiffe://example.org/spire/agent/x509pop/0a1b')
    .action(async (id, options) => (await import('../commands/agent.ts')).evict(id, options));
  agent
    .command('purge')
    .description('Evict agents that expired long ago and can attest again by themselves.')
    .option('--expired-for <duration>', 'how long ago', '30d')
    .option('--dry-run', 'only say which')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid agent purge --expired-for 90d --dry-run')
    .action(async (options) => (await import('../commands/agent.ts')).purge(options));
}

function named(command: Command): Command {
  return command.argument('<spiffe id>').addOption(serverSocketOption()).addOption(outputOption());
}

function filtered(command: Command): Command {
  const flag = (name: string, what: string) => new Option(`${name} <flag>`, what).choices(['true', 'false']);
  return command
    .option('--selector <type:value...>', 'only those with these selectors')
    .addOption(matchOption('--match-selectors', 'selectors'))
    .option('--attestation-type <type>', 'only those that attested in this way')
    .addOption(flag('--banned', 'only those that are banned, or not'))
    .addOption(flag('--can-reattest', 'only those that can attest again by themselves, or not'))
    .option('--expires-before <time>', 'only those whose SVID expires before an ISO time')
    .addOption(serverSocketOption())
    .addOption(outputOption());
}

export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('Join tokens, with which agents attest.');
  token
    .command('create')
    .description('Create a join token, good for one agent, and print it.')
    .option('--ttl <duration>', 'how long it can be used', '10m')
    .option('--spiffe-id <id>', 'an ID that the agent gets besides its own: the parent for entries')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  (umask 077; svid token create --spiffe-id spiffe://example.org/node/one > join-token)',
    )
    .action(async (options) => (await import('../commands/token.ts')).create(options));
}
