import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { observed, testWorkloadAttestor } from '../contract.ts';
import { selectorText, type WorkloadProcess } from '../workload-attestor.ts';
import { createAccountNames, parseAccountFile } from './account-names.ts';
import { createUnixAttestor, type UnixAttestorOptions } from './attestor.ts';
import { createExecutableHasher } from './executable-hash.ts';

const folder = mkdtempSync(join(tmpdir(), 'unix-attestor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const signal = new AbortController().signal;

const attest = async (options: UnixAttestorOptions, process: WorkloadProcess) =>
  (await createUnixAttestor(options).attest(process, signal)).map(selectorText);

testWorkloadAttestor({ name: 'unix', create: () => createUnixAttestor() });

describe('selectors', () => {
  const passwd = join(folder, 'passwd');
  const group = join(folder, 'group');
  writeFileSync(passwd, 'root:x:0:0::/:\nalice:x:1234:55::/:/bin/sh\nalias:x:1234:55::/:\n');
  writeFileSync(group, 'staff:x:55:\nwheel:x:10:alice\n');
  const accountNames = createAccountNames({ passwd, group });

  test('are those of SPIRE, in its words', async () => {
    const caller = observed(process.pid, { uid: 1234, gid: 55, groups: [10, 4321], executable: '/opt/web' });
    expect(await attest({ accountNames }, caller)).toEqual([
      'unix:uid:1234',
      'unix:user:alice',
      'unix:gid:55',
      'unix:group:staff',
      'unix:supplementary_gid:10',
      'unix:supplementary_group:wheel',
      'unix:supplementary_gid:4321',
      'unix:path:/opt/web',
    ]);
  });

  test('leave out what cannot be seen and what has no name', async () => {
    const caller = observed(process.pid, { uid: 9, gid: 9, groups: [], executable: undefined });
    expect(await attest({ accountNames }, caller)).toEqual(['unix:uid:9', 'unix:gid:9']);
  });

  test('follow the files', async () => {
    expect(await accountNames.user(77)).toBeUndefined();
    writeFileSync(passwd, 'late:x:77:77::/:\n');
    expect(await accountNames.user(77)).toBe('late');
    expect(await createAccountNames({ passwd: join(folder, 'none') }).user(0)).toBeUndefined();
  });

  test('names come only from well-formed lines', () => {
    expect(parseAccountFile('#c:x:1:\n:x:2:\nno\nneg:x:-3:\nhex:x:0x4:\nok:x:5:\nsecond:x:5:\n')).toEqual(
      new Map([[5, 'ok']]),
    );
  });
});

describe('sha256', () => {
  const program = join(folder, 'program');
  const run = () => {
    copyFileSync('/bin/sleep', program);
    chmodSync(program, 0o755);
    return spawn(program, ['60']);
  };

  test('is that of the file that runs, also after another was put in its place', async () => {
    const expected = createHash('sha256').update(readFileSync('/bin/sleep')).digest('hex');
    const child = run();
    await new Promise((resolve) => child.once('spawn', resolve));
    const hasher = createExecutableHasher({ maxBytes: 1e9 });
    expect(await hasher.hash(child.pid!, signal)).toBe(expected);
    rmSync(program);
    writeFileSync(program, 'something else');
    expect(await attest({ sha256: true }, observed(child.pid!))).toContain(`unix:sha256:${expected}`);
    child.kill('SIGKILL');
  });

  test('is not taken of a file that is too large: the attestor cannot tell then', async () => {
    const small = createUnixAttestor({ sha256: true, sha256MaxBytes: 10 });
    await expect(small.attest(observed(process.pid), signal)).rejects.toThrow('sha256_max_bytes is 10');
  });

  test('is off by default', async () => {
    expect((await attest({}, observed(process.pid))).join()).not.toContain('sha256');
  });
});
