// svid health | info | log level | config check
import { basename } from 'node:path';
import { loadConfig } from '../../daemon/config.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from '../../sdk/api/gen/grpc/health/v1/health_pb.ts';
import { Debug, GetInfoResponseSchema } from '../../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { Logger } from '../../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { LogLevel, LoggerSchema } from '../../sdk/api/gen/spire/api/types/logger_pb.ts';
import { CliError, ExitCode } from '../errors.ts';
import { fields, note, print, printJson, timeOf } from '../output.ts';
import { withServer, type ServerOptions } from '../server-call.ts';
import { idText, jsonOf } from '../wire.ts';

export async function health(options: ServerOptions): Promise<void> {
  const { status } = await withServer(options, (client) =>
    client.unary(Health.method.check, {}, { timeout: 10_000 }),
  );
  if (options.output === 'json') printJson({ status: nameOf(Serving, status) });
  if (status !== Serving.SERVING) {
    throw new CliError('server is unhealthy: it cannot sign, or has no bundle; its log says why');
  }
  if (options.output === 'pretty') print('Server is healthy.\n');
}

export async function info(options: ServerOptions): Promise<void> {
  const answer = await withServer(options, (client) => client.unary(Debug.method.getInfo, {}));
  if (options.output === 'json') {
    printJson(jsonOf(GetInfoResponseSchema, answer));
    return;
  }
  print(
    fields([
      ['Uptime', `${answer.uptime} s`],
      ['Agents', String(answer.agentsCount)],
      ['Entries', String(answer.entriesCount)],
      ['Federated bundles', String(answer.federatedBundlesCount)],
      ...answer.svidChain.flatMap((certificate): [string, string][] => [
        ['SVID', idText(certificate.id)],
        ['Subject', certificate.subject],
        ['Expires', timeOf(certificate.expiresAt)],
      ]),
    ]),
  );
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

const LEVELS = ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

export async function logLevel(level: string | undefined, options: ServerOptions): Promise<void> {
  const number = level === undefined ? undefined : LEVELS.indexOf(level as (typeof LEVELS)[number]) + 1;
  if (number === 0 && level !== 'reset') {
    throw new CliError(`${JSON.stringify(level)} is no level: ${LEVELS.join(', ')}, or reset`, {
      exitCode: ExitCode.usage,
    });
  }
  const logger = await withServer(options, (client) => {
    if (number === undefined) return client.unary(Logger.method.getLogger, {});
    if (number === 0) return client.unary(Logger.method.resetLogLevel, {});
    return client.unary(Logger.method.setLogLevel, { newLevel: number as LogLevel });
  });
  if (options.output === 'json') printJson(jsonOf(LoggerSchema, logger));
  else {
    print(
      fields([
        ['Level', nameOf(LogLevel, logger.currentLevel).toLowerCase()],
        ['At the start', nameOf(LogLevel, logger.launchLevel).toLowerCase()],
      ]),
    );
  }
}

/** The programs that have a configuration. */
export type ProgramName = 'server' | 'agent' | 'proxy';

export async function checkConfig(file: string, options: { program?: ProgramName }): Promise<void> {
  const program = options.program ?? guess(file);
  const schema = {
    server: async () => (await import('../../identity-server/config.ts')).identityServerConfigSchema,
    agent: async () => (await import('../../workload-agent/config.ts')).workloadAgentConfigSchema,
    proxy: async () => (await import('../../edge-proxy/config.ts')).edgeProxyConfigSchema,
  }[program];
  await loadConfig(await schema(), file);
  note(`${file}: a good configuration of ${program === 'proxy' ? 'an edge proxy' : `a ${program}`}`);
}

function guess(file: string): ProgramName {
  const name = basename(file);
  if (name.includes('server')) return 'server';
  if (name.includes('agent')) return 'agent';
  if (name.includes('proxy')) return 'proxy';
  throw new CliError(`${file}: whose configuration is it? Say --program server, agent or proxy`, {
    exitCode: ExitCode.usage,
  });
}
