// svid health, info, log level, config check, and the commands that mint.
import { Option, type Command } from 'commander';
import { outputOption, serverSocketOption } from '../options.ts';

export function addOperateCommands(program: Command): void {
  program
    .command('health')
    .description('Ask whether the identity server can do its work; exit 0 or 1.')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid health')
    .action(async (options) => (await import('../commands/operate.ts')).health(options));
  program
    .command('info')
    .description('Show how the identity server is: uptime, numbers, its own SVID.')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid info')
    .action(async (options) => (await import('../commands/operate.ts')).info(options));
  program
    .command('log')
    .description("The identity server's log.")
    .command('level')
    .description('Show the level of the log, or change it until the server ends.')
    .argument('[level]', 'panic, fatal, error, warn, info, debug, trace, or reset')
    .addOption(serverSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid log level debug')
    .action(async (level, options) => (await import('../commands/operate.ts')).logLevel(level, options));
  program
    .command('config')
    .description('Configuration files.')
    .command('check')
    .description('Check a configuration without starting anything; exit 0 or 2.')
    .argument('<file>')
    .addOption(
      new Option('--program <name>', 'whose it is (default: by the name of the file)').choices([
        'server',
        'agent',
        'proxy',
      ]),
    )
    .addHelpText('after', '\nExample:\n  svid config check /etc/sigil/identity-server.yaml')
    .action(async (file, options) => (await import('../commands/operate.ts')).checkConfig(file, options));
}

/** Below `svid x509`, which also fetches. */
export function addX509Mint(x509: Command): void {
  minting(x509.command('mint').description('Mint an X509-SVID with a fresh key, by the server itself.'))
    .option('--dns-name <name...>', 'DNS names in it; the first is the common name')
    .option('--write <folder>', 'write svid.pem, key.pem and bundle.pem there, mode 0600, and print nothing')
    .addHelpText(
      'after',
      '\nExample:\n  svid x509 mint --spiffe-id spiffe://example.org/admin --ttl 1h --write .',
    )
    .action(async (options) => (await import('../commands/mint.ts')).x509(options));
}

export function addTokenMints(program: Command): void {
  minting(
    program
      .command('jwt')
      .description('JWT-SVIDs.')
      .command('mint')
      .description('Mint a JWT-SVID, by the server itself, and print it.'),
  )
    .requiredOption('--audience <name...>', 'whom it is for')
    .option('--write <file>', 'write it there, mode 0600, and print nothing')
    .addHelpText(
      'after',
      '\nExample:\n  svid jwt mint --spiffe-id spiffe://example.org/ci --audience artifacts',
    )
    .action(async (options) => (await import('../commands/mint.ts')).jwt(options));
  minting(
    program
      .command('wit')
      .description('WIT-SVIDs (experimental).')
      .command('mint')
      .description('Mint a WIT-SVID with a fresh key, by the server itself.'),
  )
    .addOption(
      new Option('--key-type <type>', 'of the fresh key')
        .choices(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])
        .default('ec-p256'),
    )
    .option('--signing-algorithm <name>', 'what the key signs with (default: by its kind)')
    .option('--write <folder>', 'write token and key there, mode 0600, and print nothing')
    .addHelpText('after', '\nExample:\n  svid wit mint --spiffe-id spiffe://example.org/ci --write .')
    .action(async (options) => (await import('../commands/mint.ts')).wit(options));
}

function minting(command: Command): Command {
  return command
    .requiredOption('--spiffe-id <id>', 'the identity')
    .option('--ttl <duration>', "how long it is good (default: the server's)")
    .addOption(serverSocketOption())
    .addOption(outputOption());
}
