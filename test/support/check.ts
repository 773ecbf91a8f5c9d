// `npm run check`: format, lint with types, generated code, and rules of the house that no linter knows.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { houseProblems, root } from './house-rules.ts';
import { staleFiles } from './generate.ts';

const run = promisify(execFile);
const bin = (name: string) => join(root, 'node_modules/.bin', name);

interface Step {
  readonly name: string;
  /** Problems as text; empty when there is none. */
  readonly run: () => Promise<string>;
}

const command = (name: string, ...args: string[]): Step => ({
  name: [name, ...args].join(' '),
  run: () =>
    run(bin(name), args, { cwd: root, maxBuffer: 32 * 1024 * 1024 }).then(
      () => '',
      (error: { stdout?: string; stderr?: string }) =>
        `${error.stdout ?? ''}${error.stderr ?? ''}` || 'it could not be run',
    ),
});

const STEPS: readonly Step[] = [
  command('oxfmt', '--check', '.'),
  command('oxlint', '--type-aware', '--deny-warnings'),
  command('tsc', '-p', '.'),
  command('buf', 'lint'),
  {
    name: 'generated files',
    run: async () => {
      const stale = staleFiles();
      return stale.length === 0 ? '' : `stale, run \`npm run generate\`:\n${stale.join('\n')}`;
    },
  },
  { name: 'house rules', run: async () => houseProblems().join('\n') },
];

let failed = 0;
for (const step of STEPS) {
  const started = performance.now();
  const problems = await step.run();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`${problems === '' ? 'ok  ' : 'FAIL'} ${step.name} (${seconds} s)`);
  if (problems === '') continue;
  failed++;
  console.log(problems);
}
process.exitCode = failed === 0 ? 0 : 1;
