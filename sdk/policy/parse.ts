// Policy text to a checked policy. Every problem has its place; an unknown key is a problem, never silence.
import { isMap, isNode, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { SpiffeError } from '../error.ts';
import { policySchema, type Policy } from './schema.ts';

/** The longest policy file. */
const MAX_BYTES = 4_194_304;

/**
 * Reads a policy (YAML, of which JSON is a part). `fileName` is for messages.
 *
 * @throws SpiffeError `ERR_POLICY`, one line a problem: `file:line:column: what is wrong and what is allowed`.
 */
export function parsePolicy(text: string, fileName: string): Policy {
  if (text.length > MAX_BYTES) throw policyError([`${fileName}:1:1: is longer than ${MAX_BYTES} bytes`]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${fileName}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  // Warnings are unresolved tags and the like: what is not understood is refused.
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) throw policyError(broken.map((error) => `${at(error.pos[0])}: ${error.message}`));
  const result = policySchema.safeParse(valueOf(document, fileName));
  if (result.success) return result.data;
  throw policyError(
    result.error.issues.flatMap((issue) =>
      problemsOf(issue).map(({ path, problem }) => `${at(offsetOf(document, path))}: ${problem}`),
    ),
  );
}

function valueOf(document: Document, fileName: string): unknown {
  try {
    // Aliases are bounded, so that a few lines cannot become gigabytes.
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw policyError([`${fileName}:1:1: ${(error as Error).message}`]);
  }
}

function problemsOf(issue: z.core.$ZodIssue): { path: PropertyKey[]; problem: string }[] {
  const where = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      problem: `unknown key "${key}"${where === '' ? '' : ` in ${where}`}; allowed: ${allowedKeys(issue.path)}`,
    }));
  }
  return [{ path: issue.path, problem: where === '' ? issue.message : `${where}: ${issue.message}` }];
}

function allowedKeys(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'version, service, default, allow, deny' : 'id, from, methods, paths';
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

function policyError(problems: readonly string[]): SpiffeError {
  return new SpiffeError('ERR_POLICY', problems.join('\n'));
}
