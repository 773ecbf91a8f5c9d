// The Logger service: how much is logged, changed while the server runs.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Logger } from '../../daemon/log.ts';
import type { Logger as LoggerService } from '../../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { LogLevel } from '../../sdk/api/gen/spire/api/types/logger_pb.ts';
import type { Caller } from './caller.ts';

// SPIRE knows PANIC and FATAL; there is nothing beyond fatal here, and `silent` is less than PANIC.
const LEVELS: readonly (readonly [LogLevel, string])[] = [
  [LogLevel.FATAL, 'fatal'],
  [LogLevel.PANIC, 'fatal'],
  [LogLevel.ERROR, 'error'],
  [LogLevel.WARN, 'warn'],
  [LogLevel.INFO, 'info'],
  [LogLevel.DEBUG, 'debug'],
  [LogLevel.TRACE, 'trace'],
];

export function loggerService({ log }: { readonly log: Logger }): Handlers<typeof LoggerService, Caller> {
  const launchLevel = log.level;
  const answer = () => ({ currentLevel: numberOf(log.level), launchLevel: numberOf(launchLevel) });
  const set = (level: string) => {
    // At a level where it is still seen if it was, or will be.
    log.info({ level_before: log.level, level_after: level }, 'the log level changes');
    log.level = level;
    return answer();
  };
  return {
    getLogger: async () => answer(),
    async setLogLevel({ newLevel }) {
      const name = LEVELS.find(([number]) => number === newLevel)?.[1];
      if (name === undefined) {
        throw new RpcError('INVALID_ARGUMENT', 'newLevel value cannot be LogLevel_UNSPECIFIED or unknown');
      }
      return set(name);
    },
    resetLogLevel: async () => set(launchLevel),
  };
}

function numberOf(level: string): LogLevel {
  return LEVELS.find(([, name]) => name === level)?.[0] ?? LogLevel.PANIC;
}
