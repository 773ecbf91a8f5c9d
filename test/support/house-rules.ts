// Rules of the house that are checked by reading the tree: module headers, sizes, who may import what, and what must
// never be committed.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const MAX_LINES = 500;
/** Packages that only one place may import (architecture: the house). */
const OWNED_PACKAGES: readonly (readonly [name: string, owners: RegExp])[] = [
  ['kysely', /^identity-server\/store\//],
  ['@peculiar/x509', /^(sdk\/x509-svid\/.*\.test\.ts|test\/|edge-proxy\/test-support\/)/],
  ['pino', /^daemon\/log\.ts$/],
  ['commander', /^(cli\/(main|options)\.ts|cli\/tree\/|test\/support\/)/],
];

/** What breaks a rule, a line each. */
export function houseProblems(): string[] {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file.endsWith('.ts') && !file.startsWith('sdk/api/gen/'));
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return problemsOf(file, text).map((problem) => `${file}: ${problem}`);
  });
}

function problemsOf(file: string, text: string): string[] {
  const problems: string[] = [];
  const lines = text.split('\n').length - 1;
  if (!file.endsWith('.test.ts')) {
    if (!/^(#!.*\n)?\/[/*]/.test(text)) problems.push('begin with a comment that says what the file owns');
    if (lines > MAX_LINES) problems.push(`${lines} lines; ${MAX_LINES} is the most`);
  }
  for (const [name, owners] of OWNED_PACKAGES) {
    if (text.includes(`from '${name}`) && !owners.test(file)) problems.push(`must not import ${name}`);
  }
  if (/\b(describe|it|test)\.only\(/.test(text) && !file.startsWith('test/support/')) {
    problems.push('a test is marked as the only one');
  }
  return problems;
}
