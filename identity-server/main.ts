// The program identity-server: reads arguments and configuration, runs until it is told to stop.
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig } from '../daemon/config.ts';
import { aborted, runUntilSignal } from '../daemon/lifecycle.ts';
import { createLog, type Logger } from '../daemon/log.ts';
import { messageOf } from '../sdk/error.ts';
import { identityServerConfigSchema, type IdentityServerConfig } from './config.ts';
import { startIdentityServer } from './server.ts';

const USAGE = `identity-server: the authority of a trust domain

usage: identity-server [--config FILE] [--exit-with-parent]

  --config FILE        the configuration (default: ./identity-server.yaml)
  --exit-with-parent   stop when standard input closes, as it does when the parent ends

example: identity-server --config /etc/sigil/identity-server.yaml
`;

/** Runs a server until the signal aborts. */
export async function runIdentityServer(
  config: IdentityServerConfig,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  await using server = await startIdentityServer(config, { log });
  log.info(
    {
      address: `${config.listen.address}:${server.port}`,
      socket: server.socketPath,
      trust_domain: config.trust_domain,
    },
    'ready',
  );
  await aborted(signal);
  log.info('stopping');
}

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: {
        config: { type: 'string', default: 'identity-server.yaml' },
        'exit-with-parent': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    if (process.platform !== 'linux') {
      throw new Error(
        `runs on Linux only (attestation stands on its kernel), and this is ${process.platform}`,
      );
    }
    const config = await loadConfig(identityServerConfigSchema, values.config);
    const log = createLog({ name: 'identity-server', level: config.log_level });
    await runUntilSignal((signal) => runIdentityServer(config, { signal, log }), {
      exitWithParent: values['exit-with-parent'],
    });
    return 0;
  } catch (error) {
    for (const line of messageOf(error).split('\n')) {
      process.stderr.write(`identity-server: error: ${line}\n`);
    }
    return isMisuse(error) ? 2 : 1;
  }
}

function isMisuse(error: unknown): boolean {
  return (
    error instanceof ConfigError || String((error as { code?: string }).code).startsWith('ERR_PARSE_ARGS')
  );
}

if (import.meta.main) process.exit(await main());
