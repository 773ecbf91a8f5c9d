// What the three programs do alike: read their arguments, print errors for people, and end with a code for scripts.
import { parseArgs } from 'node:util';
import { messageOf } from '../sdk/error.ts';
import { ConfigError } from './config.ts';

/** Arguments or a configuration that cannot be used: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Arguments that every program takes. */
export interface ProgramArguments {
  readonly config: string;
  readonly exitWithParent: boolean;
  /** Options that only this program has, by name. */
  readonly own: Readonly<Record<string, string | undefined>>;
}

/** A program, as its main.ts describes it. */
export interface Program {
  readonly name: string;
  /** The text of --help. */
  readonly usage: string;
  /** The configuration without --config; undefined: --config must be given. */
  readonly defaultConfig?: string;
  /** Names of options, with a value each, that only this program has. */
  readonly ownOptions?: readonly string[];
  readonly main: (args: ProgramArguments) => Promise<void>;
}

/**
 * Runs a program and ends the process: 0 when `main` returns, 2 for arguments or a configuration that are wrong, 1 for
 * everything else; each line of an error on standard error as `name: error: ...`.
 */
export async function runProgram(program: Program, args: readonly string[]): Promise<never> {
  let code = 0;
  try {
    const parsed = parse(program, args);
    if (parsed === 'help') process.stdout.write(program.usage);
    else await program.main(parsed);
  } catch (error) {
    for (const line of messageOf(error).split('\n'))
      process.stderr.write(`${program.name}: error: ${line}\n`);
    if (error instanceof UsageError) process.stderr.write(`\n${program.usage}`);
    code = error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
  // Nothing may keep a stopped program alive: a call that hangs, an idle channel.
  // oxlint-disable-next-line no-restricted-properties
  return process.exit(code);
}

function parse(program: Program, args: readonly string[]): ProgramArguments | 'help' {
  const own = program.ownOptions ?? [];
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', short: 'c' },
        'exit-with-parent': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        ...Object.fromEntries(own.map((name) => [name, { type: 'string' as const }])),
      },
    }));
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  if (values['help'] === true) return 'help';
  const config = values['config'] ?? program.defaultConfig;
  if (typeof config !== 'string') throw new UsageError('--config FILE is missing');
  return {
    config,
    exitWithParent: values['exit-with-parent'] === true,
    own: Object.fromEntries(own.map((name) => [name, values[name] as string | undefined])),
  };
}

/**
 * Fails on a system whose kernel cannot attest.
 *
 * @throws Error that says so.
 */
export function expectLinux(): void {
  if (process.platform === 'linux') return;
  throw new Error(`this is ${process.platform}, and attestation stands on the Linux kernel: run it on Linux`);
}
