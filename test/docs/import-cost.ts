// Prints what it costs to import each part of the SDK, as the table of docs/guides/sdk.md; `--write` puts it there.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../support/house-rules.ts';
import { SUBPATHS } from './guide.ts';

const RUNS = 9;
const BUILT = mkdtempSync(join(tmpdir(), 'sigil-import-cost-'));
const GUIDE = join(root, 'docs/guides/sdk.md');

// Each in a process of its own, which times the import itself and says how much memory it takes.
function measure(files: readonly string[]): { milliseconds: number; megabytes: number } {
  const imports = files.map(
    (file) =>
      `await import(${JSON.stringify(pathToFileURL(join(BUILT, file.replace(/\.ts$/, '.js'))).href)});`,
  );
  const program = [
    'const before = performance.now();',
    ...imports,
    'console.log(performance.now() - before, process.memoryUsage().rss / 1e6);',
  ].join('\n');
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
  const runs = Array.from({ length: RUNS }, () => {
    const [milliseconds, megabytes] = execFileSync(process.execPath, args, { encoding: 'utf8' })
      .split(' ')
      .map(Number);
    return { milliseconds: milliseconds!, megabytes: megabytes! };
  });
  return runs.sort((a, b) => a.milliseconds - b.milliseconds)[0]!;
}

// As applications have it: JavaScript. From source, stripping the types would be most of the cost.
function build(): void {
  const settings = ['--noEmit', 'false', '--outDir', BUILT, '--rootDir', root];
  // An error of types somewhere keeps nothing from being written.
  spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', root, ...settings], { stdio: 'ignore' });
  symlinkSync(join(root, 'node_modules'), join(BUILT, 'node_modules'));
  writeFileSync(join(BUILT, 'package.json'), '{ "type": "module" }');
}

build();
const empty = measure([]);
const rows = Object.entries(SUBPATHS).map(([name, files]) => {
  const { milliseconds, megabytes } = measure(files);
  return `| \`${name}\` | ${Math.round(milliseconds)} | ${Math.max(0, Math.round(megabytes - empty.megabytes))} |`;
});
const table = ['| import | ms | MB |', '| --- | --- | --- |', ...rows, ''].join('\n');
console.log(table);
rmSync(BUILT, { recursive: true });
if (process.argv.includes('--write')) {
  const text = readFileSync(GUIDE, 'utf8');
  const marked = /(<!-- import-cost -->\n)[\s\S]*(<!-- \/import-cost -->)/;
  writeFileSync(
    GUIDE,
    text.replace(marked, (_all, begin: string, end: string) => `${begin}\n${table}\n${end}`),
  );
}
