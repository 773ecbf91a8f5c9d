// Configuration files: YAML, checked by a zod schema, every problem with its place: `file:line:column: what`.
import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument, isMap, isNode, type Document } from 'yaml';
import { z } from 'zod';

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

/** Checks configuration text; `file` is for messages. */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  file: string,
): z.infer<Schema> {
  const lines = new LineCounter();
  // Aliases are bounded, so that a few lines cannot become gigabytes.
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => `${place(error.pos[0])}: ${error.message}`).join('\n'),
    );
  }
  const result = schema.safeParse(document.toJS({ maxAliasCount: 100 }) ?? {});
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) =>
    describe(issue).map(({ path, text }) => `${place(offsetOf(document, path))}: ${text}`),
  );
  throw new ConfigError(problems.join('\n'));
}

function describe(issue: z.core.$ZodIssue): { path: PropertyKey[]; text: string }[] {
  const where = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      text: `unknown key "${key}"${where === '' ? '' : ` in ${where}`}`,
    }));
  }
  return [{ path: issue.path, text: where === '' ? issue.message : `${where}: ${issue.message}` }];
}

// The deepest node on the path that exists: a missing key is reported at the map that should have it.
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => String(item.key) === String(path[depth - 1]));
      if (isNode(pair?.key)) return pair.key.range?.[0] ?? 0;
    }
    const node = document.getIn(path.slice(0, depth), true);
    if (isNode(node)) return node.range?.[0] ?? 0;
  }
  return isNode(document.contents) ? (document.contents.range?.[0] ?? 0) : 0;
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
