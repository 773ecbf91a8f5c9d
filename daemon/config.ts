// Configuration files: YAML, checked by a zod schema, every problem with its place: `file:line:column: what`.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { readDocument } from '../sdk/document.ts';

/** A configuration that cannot be used. The message has one line a problem. */
export class ConfigError extends Error {
  readonly code = 'ERR_CONFIG';
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

/**
 * Reads and checks a configuration file.
 *
 * @throws ConfigError with all problems and their places.
 */
export async function loadConfig<Schema extends z.ZodType>(
  schema: Schema,
  file: string,
): Promise<z.infer<Schema>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(`${file}: cannot be read: ${(cause as Error).message}`);
  }
  return parseConfig(schema, text, file);
}

/**
 * Checks configuration text; `file` is for messages.
 *
 * @throws ConfigError
 */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  file: string,
): z.infer<Schema> {
  const result = readDocument(schema, text, file);
  if (result.problems !== undefined) throw new ConfigError(result.problems.join('\n'));
  return result.value;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A schema for durations such as `90s`, `1h30m` or `24h`; gives milliseconds. */
export function durationSchema(fallback?: string) {
  const schema = z
    .string()
    .regex(/^(\d+(ms|s|m|h|d))+$/, 'must be a duration such as 90s, 1h30m or 24h')
    .transform(parseDuration);
  return fallback === undefined ? schema : schema.prefault(fallback);
}

/** Milliseconds of a duration such as `1h30m`. The text must have been checked. */
export function parseDuration(text: string): number {
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(count) * UNITS[unit!]!;
  return total;
}
