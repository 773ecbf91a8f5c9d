// svid bundle ..., authority ..., federation ...: what is trusted, and who vouches for it.
import { Option, type Command } from 'commander';
import { outputOption, serverSocketOption } from '../options.ts';
import type { AuthorityKind, AuthorityVerb } from '../commands/authority.ts';

const format = () =>
  new Option('--format <format>', 'pem: certificates alone; spiffe: JWT keys, too')
    .choices(['pem', 'spiffe'])
    .default('pem');

export function addBundleCommands(program: Command): void {
  const bundle = program.command('bundle').description('Trust bundles, our own and those of others.');
  bundle
    .command('show')
    .description("Print the authorities of the server's trust domain.")
    .addOption(format())
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid bundle show > bundle.pem')
    .action(async (options) => (await import('../commands/bundle.ts')).show(options));
  bundle
    .command('list')
    .description('Print the bundles of other trust domains, or of one.')
    .argument('[trust domain]')
    .addOption(format())
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid bundle list partner.example --format spiffe')
    .action(async (name, options) => (await import('../commands/bundle.ts')).list(name, options));
  bundle
    .command('set')
    .description('Keep the bundle of another trust domain.')
    .argument('<trust domain>')
    .option('--file <file>', 'the bundle, - for standard input', '-')
    .addOption(format())
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid bundle set partner.example --format spiffe --file partner.json')
    .action(async (name, options) => (await import('../commands/bundle.ts')).set(name, options));
  bundle
    .command('delete')
    .description('Forget the bundle of another trust domain.')
    .argument('<trust domain>')
    .addOption(
      new Option('--mode <mode>', 'what becomes of entries that federate with it')
        .choices(['restrict', 'dissociate', 'delete'])
        .default('restrict'),
    )
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid bundle delete partner.example --mode dissociate')
    .action(async (name, options) => (await import('../commands/bundle.ts')).remove(name, options));
  bundle
    .command('count')
    .description('Count the bundles, our own among them.')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid bundle count')
    .action(async (options) => (await import('../commands/bundle.ts')).count(options));
}

const KINDS: readonly (readonly [AuthorityKind, string])[] = [
  ['x509', 'sign X509-SVIDs'],
  ['jwt', 'sign JWT-SVIDs'],
  ['wit', 'sign WIT-SVIDs (experimental)'],
];
const VERBS: readonly (readonly [AuthorityVerb, string])[] = [
  ['prepare', 'Make the authority that comes next and publish it in the bundle.'],
  ['activate', 'Let the prepared authority sign.'],
  ['taint', 'Mark the authority that signed before: what it signed is replaced at once.'],
  ['revoke', 'Take a tainted authority out of the bundle: what it signed is no longer trusted.'],
];

export function addAuthorityCommands(program: Command): void {
  const authority = program
    .command('authority')
    .description("The server's signing keys; they rotate by themselves, and here by hand.");
  for (const [kind, what] of KINDS) {
    const group = authority.command(kind).description(`The keys that ${what}.`);
    group
      .command('show')
      .description('Show which authority signs, which comes next, and which was before.')
      .addOption(serverSocketOption())
      .addOption(outputOption())
      .addHelpText('after', `\nExample:\n  svid authority ${kind} show`)
      .action(async (options) => (await import('../commands/authority.ts')).show(kind, options));
    for (const [verb, description] of VERBS) {
      const command = group.command(verb).description(description);
      if (verb !== 'prepare') command.argument('<authority id>');
      command
        .addOption(serverSocketOption())
        .addOption(outputOption())
        .addHelpText(
          'after',
          `\nExample:\n  svid authority ${kind} ${verb}${verb === 'prepare' ? '' : ' 0a1b2c'}`,
        )
        .action(async (...args) => {
          const [id, options] = verb === 'prepare' ? [undefined, args[0]] : [args[0], args[1]];
          await (await import('../commands/authority.ts')).change(kind, verb, id, options);
        });
    }
  }
}

export function addFederationCommands(program: Command): void {
  const federation = program
    .command('federation')
    .description('Relationships with other trust domains: where their bundles are fetched.');
  const written = (verb: 'create' | 'update', description: string) =>
    federation
      .command(verb)
      .description(description)
      .argument('[trust domain]')
      .option('--url <url>', 'its bundle endpoint')
      .addOption(
        new Option('--profile <profile>', 'how the endpoint proves itself').choices([
          'https_web',
          'https_spiffe',
        ]),
      )
      .option('--endpoint-spiffe-id <id>', 'https_spiffe: the SPIFFE ID of the endpoint')
      .option('--bundle <file>', 'its bundle to begin with')
      .addOption(
        new Option('--bundle-format <format>', 'of --bundle').choices(['pem', 'spiffe']).default('spiffe'),
      )
      .option('--file <file>', 'YAML or JSON with a list `relationships`, - for standard input')
      .addOption(serverSocketOption())
      .addOption(outputOption())
      .addHelpText(
        'after',
        `\nExample:\n  svid federation ${verb} partner.example --url https://partner.example/bundle --profile https_web`,
      )
      .action(async (name, options) => (await import('../commands/federation.ts'))[verb](name, options));
  written('create', 'Federate with a trust domain.');
  written('update', 'Change a relationship.');
  const named = (verb: 'show' | 'remove' | 'refresh', name: string, description: string) =>
    federation
      .command(name)
      .description(description)
      .argument('<trust domain>')
      .addOption(serverSocketOption())
      .addOption(outputOption())
      .addHelpText('after', `\nExample:\n  svid federation ${name} partner.example`)
      .action(async (trustDomain, options) =>
        (await import('../commands/federation.ts'))[verb](trustDomain, options),
      );
  named('show', 'show', 'Show a relationship.');
  federation
    .command('list')
    .description('List the relationships.')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid federation list')
    .action(async (options) => (await import('../commands/federation.ts')).list(options));
  named('remove', 'delete', 'End a relationship; the bundle stays until it is deleted.');
  named('refresh', 'refresh', 'Fetch the bundle now.');
}
