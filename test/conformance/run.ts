// `npm run conformance`: runs the tests of this folder, prints what holds, and writes docs/reference/conformance.md.
// `--check` compares the page instead. A requirement without a test counts as failing.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NOT_APPLICABLE, OPEN } from './not-applicable.ts';
import { pageOf } from './page.ts';
import { REQUIREMENTS, VECTORS } from './requirements.ts';
import { byId, idsOf, textTable, totalsOf, verdictOf, type TestResult, type Verdict } from './table.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/reference/conformance.md');

interface JsonReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

let complete = true;
const results = runTests();
const tests = byId(results);
const exceptions = { notApplicable: NOT_APPLICABLE, open: OPEN };
const ids = [...REQUIREMENTS.map(({ id }) => id), ...VECTORS.flatMap(([, vectors]) => vectors)];
const verdicts = new Map<string, Verdict>(ids.map((id) => [id, verdictOf(id, tests, exceptions)]));
const rows = REQUIREMENTS.map(({ id }) => verdicts.get(id)!);
const vectors = [...verdicts.values()].slice(rows.length);

console.log(textTable(REQUIREMENTS, verdicts));
console.log(`\nrequirements: ${totalsOf(rows)}\nvectors: ${totalsOf(vectors)}`);
for (const { id, status, reason } of vectors)
  if (status !== 'pass') console.log(`${id} ${status}: ${reason}`);
const strays = [
  ...new Set([...results.flatMap(({ title }) => idsOf(title)), ...OPEN.keys(), ...NOT_APPLICABLE.keys()]),
];
const unknown = strays.filter((id) => !verdicts.has(id));
if (unknown.length > 0) fail(`ids that no list has: ${unknown.join(', ')}`);
if ([...verdicts.values()].some(({ status }) => status === 'fail')) fail('there are failing rows');

const page = pageOf(REQUIREMENTS, VECTORS, verdicts);
if (!process.argv.includes('--check')) {
  // What did not run says nothing about conformance.
  if (complete) writeFileSync(PAGE, page);
} else if (readFileSync(PAGE, 'utf8') !== page)
  fail('docs/reference/conformance.md is stale: run npm run conformance');

function runTests(): TestResult[] {
  const folder = mkdtempSync(join(tmpdir(), 'sigil-conformance-'));
  try {
    const file = join(folder, 'report.json');
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const args = [vitest, 'run', 'test/conformance', '--reporter=json', `--outputFile=${file}`];
    spawnSync(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    const report = JSON.parse(readFileSync(file, 'utf8')) as JsonReport;
    for (const { name, assertionResults, message } of report.testResults) {
      if (assertionResults.length > 0) continue;
      complete = false;
      fail(`${name} did not run: ${message}`);
    }
    return report.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .map(({ title, status }) => ({ title, passed: status === 'passed' }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fail(problem: string): void {
  console.error(`conformance: ${problem}`);
  process.exitCode = 1;
}
