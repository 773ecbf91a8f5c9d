// YAML documents that people write (configuration, policies), read by a zod schema; every problem has its place and says
// what is allowed. Unknown keys are problems, never silence.
import { isMap, isNode, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';

/** The longest document, in characters. */
const MAX_LENGTH = 4_194_304;

/** What reading gives: the value, or a line a problem: `file:line:column: what is wrong and what is allowed`. */
export type DocumentResult<T> =
  | { readonly value: T; readonly problems?: undefined }
  | { readonly problems: readonly string[] };

/** Reads a document (YAML, of which JSON is a part). `file` is for messages. Never throws. */
export function readDocument<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  file: string,
): DocumentResult<z.infer<Schema>> {
  if (text.length > MAX_LENGTH) return { problems: [`${file}:1:1: is longer than ${MAX_LENGTH} characters`] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  // Warnings are unresolved tags and the like: what is not understood is refused.
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) return { problems: broken.map(({ pos, message }) => `${at(pos[0])}: ${message}`) };
  let content: unknown;
  try {
    // Aliases are bounded, so that a few lines cannot become gigabytes.
    content = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    return { problems: [`${file}:1:1: ${(error as Error).message}`] };
  }
  const result = schema.safeParse(content, { reportInput: true });
  if (result.success) return { value: result.data };
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, schema));
  return { problems: problems.map(({ path, text }) => `${at(offsetOf(document, path))}: ${text}`) };
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.ZodType): { path: PropertyKey[]; text: string }[] {
  const where = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedKeys(schema, issue.path);
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      text: `unknown key "${key}"${where === '' ? '' : ` in ${where}`}${allowed === '' ? '' : `; allowed: ${allowed}`}`,
    }));
  }
  const missing = issue.code === 'invalid_type' && issue.input === undefined;
  const message = missing ? `is missing; it must be of type ${issue.expected}` : issue.message;
  return [{ path: issue.path, text: where === '' ? message : `${where}: ${message}` }];
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
}

// The keys that the schema has at a path, by its JSON Schema: zod's own types do not tell.
function allowedKeys(schema: z.ZodType, path: readonly PropertyKey[]): string {
  let shape: Shape | undefined = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape;
  for (const step of path)
    shape = typeof step === 'number' ? shape?.items : shape?.properties?.[String(step)];
  return Object.keys(shape?.properties ?? {}).join(', ');
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
