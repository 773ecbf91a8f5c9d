import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clearCurrentMesh, currentMesh, makeRuntimeRoot, setCurrentMesh } from './runtime-folder.ts';

const before = process.env['TMPDIR'];
beforeEach(() => {
  process.env['TMPDIR'] = mkdtempSync('/tmp/sigil-test-');
});
afterEach(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
});

test('when the newest mesh ends, the one before it is the newest, if it is still up', () => {
  expect(tmpdir()).toBe(process.env['TMPDIR']);
  const root = makeRuntimeRoot();
  const [first, second, third] = ['1', '2', '3'].map((name) => join(root, name)) as [string, string, string];
  for (const folder of [first, second, third]) {
    mkdirSync(join(folder, 'run'), { recursive: true });
    setCurrentMesh(folder);
  }
  clearCurrentMesh(first); // ends while a newer one is up
  expect(currentMesh()).toBe(third);
  clearCurrentMesh(third);
  expect(currentMesh()).toBe(second);
});

test('when the only mesh ends, there is none', () => {
  const folder = join(makeRuntimeRoot(), '1');
  mkdirSync(folder);
  setCurrentMesh(folder);
  clearCurrentMesh(folder);
  expect(currentMesh()).toBeUndefined();
});
