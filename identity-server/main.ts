// The program identity-server: reads arguments and configuration, runs until it is told to stop.
import { loadConfig } from '../daemon/config.ts';
import { aborted, runUntilSignal } from '../daemon/lifecycle.ts';
import { createLog, type Logger } from '../daemon/log.ts';
import { expectLinux, runProgram } from '../daemon/program.ts';
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
  await using server = await startIdentityServer(config, { log, signal });
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

if (import.meta.main) {
  await runProgram(
    {
      name: 'identity-server',
      usage: USAGE,
      defaultConfig: 'identity-server.yaml',
      main: async ({ config: file, exitWithParent }) => {
        expectLinux();
        const config = await loadConfig(identityServerConfigSchema, file);
        const log = createLog({ name: 'identity-server', level: config.log_level });
        await runUntilSignal((signal) => runIdentityServer(config, { signal, log }), { exitWithParent });
      },
    },
    process.argv.slice(2),
  );
}
