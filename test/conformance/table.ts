// From test results to the table of conformance. Pure.
import type { Requirement } from './requirements.ts';

/** One test as the runner saw it. */
export interface TestResult {
  readonly title: string;
  readonly passed: boolean;
}

/** What is known of one requirement or vector. */
export interface Verdict {
  readonly id: string;
  readonly status: 'pass' | 'fail' | 'open' | 'not applicable';
  readonly reason: string;
}

/** What stands outside the tests: rows that do not apply, and rows that a named issue builds. */
export interface Exceptions {
  readonly notApplicable: ReadonlyMap<string, string>;
  readonly open: ReadonlyMap<string, string>;
}

const NAMES = /^((?:X509-|[A-Z]+-?)\d+[a-z]?(?:, (?:X509-|[A-Z]+-?)\d+[a-z]?)*):/;

/** The ids with which a test's name begins: `X509-01, X01: ...`. */
export function idsOf(title: string): readonly string[] {
  return NAMES.exec(title)?.[1]?.split(', ') ?? [];
}

/** The tests of each id. */
export function byId(results: readonly TestResult[]): ReadonlyMap<string, readonly TestResult[]> {
  const tests = new Map<string, TestResult[]>();
  for (const result of results) {
    for (const id of idsOf(result.title)) tests.set(id, [...(tests.get(id) ?? []), result]);
  }
  return tests;
}

/** Judges one id: a failure outweighs everything, and no test at all is a failure. */
export function verdictOf(
  id: string,
  tests: ReadonlyMap<string, readonly TestResult[]>,
  { notApplicable, open }: Exceptions,
): Verdict {
  const own = tests.get(id) ?? [];
  const failed = own.find(({ passed }) => !passed);
  if (failed !== undefined) return { id, status: 'fail', reason: `the test "${failed.title}" fails` };
  const issue = open.get(id);
  if (issue !== undefined) {
    return { id, status: 'open', reason: own.length === 0 ? issue : `${issue}; the library's part passes` };
  }
  const reason = notApplicable.get(id);
  if (reason !== undefined) return { id, status: 'not applicable', reason };
  return own.length === 0
    ? { id, status: 'fail', reason: 'no test' }
    : { id, status: 'pass', reason: `${own.length} ${own.length === 1 ? 'test' : 'tests'}` };
}

/** How many verdicts there are of each kind, in words. */
export function totalsOf(verdicts: readonly Verdict[]): string {
  const count = (status: Verdict['status']) => verdicts.filter((verdict) => verdict.status === status).length;
  return `${count('pass')} pass, ${count('fail')} fail, ${count('open')} open, ${count('not applicable')} not applicable`;
}

/** The table in columns, for a terminal. */
export function textTable(
  requirements: readonly Requirement[],
  verdicts: ReadonlyMap<string, Verdict>,
): string {
  return requirements
    .map(({ id, level, text }) => {
      const { status, reason } = verdicts.get(id)!;
      return `${id.padEnd(8)} ${level.padEnd(10)} ${status.padEnd(14)} ${text} (${reason})`;
    })
    .join('\n');
}

/** A Markdown table; its columns are not aligned, so that one change is one changed line. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
