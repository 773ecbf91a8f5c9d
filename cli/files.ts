// Files that commands read: a path, or - for standard input.
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { CliError, ExitCode } from './errors.ts';

/** How a file is called in messages. */
export function fileName(file: string): string {
  return file === '-' ? 'standard input' : file;
}

/**
 * Reads a file as text.
 *
 * @throws CliError that names it.
 */
export async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? (await buffer(process.stdin)).toString('utf8') : await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`${fileName(file)}: cannot be read: ${(error as Error).message}`, {
      exitCode: ExitCode.usage,
    });
  }
}
