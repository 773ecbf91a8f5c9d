// The log of every program: JSON lines on standard error, one event a line, nothing secret.
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Levels that a configuration can name. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Options of {@link createLog}. */
export interface LogOptions {
  /** The program, such as `identity-server`. */
  readonly name: string;
  /** Default `info`. */
  readonly level?: LogLevel;
  /** Where lines go. Default: standard error. */
  readonly destination?: { write(line: string): void };
}

// A second line of defence: nothing in the code logs these, and a value under such a name is masked all the same.
const SECRET_PATHS = [
  'token',
  'joinToken',
  'join_token',
  'privateKey',
  'private_key',
  'key',
  'svidKey',
  'authorization',
  'payload',
  'err.token',
].flatMap((path) => [path, `*.${path}`]);

// JSON lets these stand in a string, and a terminal that shows a log obeys them: DEL, C1 (0x9b begins a control sequence
// as ESC [ does), line separators, and what turns the direction of text around.
const OBEYED = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A log of one program. Synchronous, so that the last line before an exit is never lost. */
export function createLog(options: LogOptions): Logger {
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { pid: globalThis.process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[secret]' },
      hooks: { streamWrite: (line) => line.replace(OBEYED, escapeOf) },
    },
    options.destination ?? pino.destination({ dest: 2, sync: true }),
  );
}
