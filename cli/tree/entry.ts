// svid entry ...
import type { Command } from 'commander';
import { matchOption, outputOption, serverSocketOption } from '../options.ts';

export function addEntryCommands(program: Command): void {
  const entry = program.command('entry').description('Registration entries: who may be what.');
  described(entry.command('create').description('Create an entry, from options or from a file.'))
    .option('--entry-id <id>', 'an ID for the entry (default: a random one)')
    .option('--file <file>', 'entries as YAML or JSON, - for standard input; excludes the options above')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  svid entry create --spiffe-id spiffe://example.org/web \\\n    --parent-id spiffe://example.org/node/one --selector unix:uid:1000',
    )
    .action(async (options) => (await import('../commands/entry-write.ts')).create(options));
  described(entry.command('update').description('Change what is named of an entry; the rest stays.'))
    .argument('[entry id]')
    .option('--file <file>', 'entries as YAML or JSON, with their entry_id, - for standard input')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  svid entry update 4c6a1d6e-8a43-4f2c-9d2e-7f2f3c1f7f5e --hint internal --x509-svid-ttl 10m',
    )
    .action(async (id, options) => (await import('../commands/entry-write.ts')).update(id, options));
  filtered(entry.command('list').description('List entries.'))
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid entry list --selector unix:uid:1000')
    .action(async (options) => (await import('../commands/entry.ts')).list(options));
  filtered(entry.command('count').description('Count entries.'))
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid entry count --parent-id spiffe://example.org/node/one')
    .action(async (options) => (await import('../commands/entry.ts')).count(options));
  entry
    .command('show')
    .description('Show one entry.')
    .argument('<entry id>')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid entry show 4c6a1d6e-8a43-4f2c-9d2e-7f2f3c1f7f5e')
    .action(async (id, options) => (await import('../commands/entry.ts')).show(id, options));
  entry
    .command('delete')
    .description('Delete entries; their SVIDs are no longer handed out.')
    .argument('[entry id...]')
    .option('--file <file>', 'YAML or JSON with a list `ids`, - for standard input')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid entry delete 4c6a1d6e-8a43-4f2c-9d2e-7f2f3c1f7f5e')
    .action(async (ids, options) => (await import('../commands/entry-write.ts')).remove(ids, options));
}

function described(command: Command): Command {
  return command
    .option('--spiffe-id <id>', 'the identity')
    .option('--parent-id <id>', 'the agent, node alias or entry below which it is issued')
    .option('--node', 'another name for the agents that have the selectors, in place of --parent-id')
    .option('--selector <type:value...>', 'what a workload must show; all of them')
    .option('--x509-svid-ttl <duration>', "lifetime of X509-SVIDs (default: the server's)")
    .option('--jwt-svid-ttl <duration>', "lifetime of JWT-SVIDs (default: the server's)")
    .option('--dns-name <name...>', 'DNS names in the SVID; the first is the common name')
    .option('--hint <text>', 'what the workload may call this identity')
    .option('--federates-with <trust domain...>', 'foreign trust domains whose bundles it gets')
    .option('--expires-at <time>', 'ISO time after which the entry is not served, or never')
    .option('--admin', 'who has the identity administers the server')
    .option('--no-admin', 'take that back')
    .option('--downstream', 'who has the identity gets signing certificates: a server below this one')
    .option('--no-downstream', 'take that back')
    .option('--store-svid', 'the SVID goes into a secret store')
    .option('--no-store-svid', 'take that back')
    .option('--x509-svid-prefetch', 'agents keep the X509-SVID ready')
    .option('--no-x509-svid-prefetch', 'agents fetch the X509-SVID when it is asked for, not before')
    .option('--jwt-svid-jti', 'JWT-SVIDs have an ID each, and agents keep none')
    .option('--no-jwt-svid-jti', 'take that back');
}

function filtered(command: Command): Command {
  return command
    .option('--spiffe-id <id>', 'only those of this identity')
    .option('--parent-id <id>', 'only those below this parent')
    .option('--selector <type:value...>', 'only those with these selectors')
    .addOption(matchOption('--match-selectors', 'selectors'))
    .option('--federates-with <trust domain...>', 'only those that federate with these')
    .addOption(matchOption('--match-federates-with', 'trust domains'))
    .option('--hint <text>', 'only those with this hint')
    .option('--downstream', 'only those of servers below this one');
}
