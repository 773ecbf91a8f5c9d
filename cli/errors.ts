// How the command line fails: a line that says what, a line that says what to do, and an exit code for scripts.
import { status } from '@grpc/grpc-js';

/** Exit codes. Scripts may rely on them. */
export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  unavailable: 5,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error whose message is for the person at the terminal. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(message: string, options: { exitCode?: ExitCode; hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.exitCode = options.exitCode ?? ExitCode.failure;
    this.hint = options.hint;
  }
}

/** The error to print for anything that was thrown; `what` is what was asked for, such as `the server at /run/x`. */
export function cliErrorOf(thrown: unknown, what?: string): CliError {
  if (thrown instanceof CliError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code: unknown = 'code' in error ? error.code : undefined;
  const details = 'details' in error && typeof error.details === 'string' ? error.details : error.message;
  // What grpc-js puts around the reason why a socket could not be reached says nothing to people.
  const text = details.replace(
    /^No connection established\. Last error: (?:Error: )?|\.?\s*Resolution note:\s*$/g,
    '',
  );
  const from = what === undefined ? '' : `${what}: `;
  switch (code) {
    case status.NOT_FOUND:
      return new CliError(`${from}${text}`, { exitCode: ExitCode.notFound, cause: error });
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return new CliError(`${from}${text}`, { exitCode: ExitCode.refused, cause: error });
    case status.INVALID_ARGUMENT:
      return new CliError(`${from}${text}`, { exitCode: ExitCode.usage, cause: error });
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return new CliError(`${from}does not answer (${text})`, {
        exitCode: ExitCode.unavailable,
        hint: 'is it running? Name its socket with --socket (svid run: --agent-socket), or start a mesh with `svid up`',
        cause: error,
      });
    case 'ERR_CONFIG':
    case 'ERR_ENDPOINT':
      return new CliError(text, { exitCode: ExitCode.usage, cause: error });
    default:
      return new CliError(`${from}${text}`, { cause: error });
  }
}
