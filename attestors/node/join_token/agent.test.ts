import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createJoinTokenAgent } from './agent.ts';

const folder = mkdtempSync(join(tmpdir(), 'join-token-'));
const file = join(folder, 'token');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const payload = async () => new TextDecoder().decode((await createJoinTokenAgent({ file }).begin()).payload);

describe('a join token', () => {
  test('is the one line of the file, read each time', async () => {
    writeFileSync(file, 'first\n');
    expect(await payload()).toBe('first');
    writeFileSync(file, ' second ');
    expect(await payload()).toBe('second');
  });

  test.each(['', '\n', 'two words', 'two\nlines', 'x'.repeat(2_000), '\u0001'])(
    'is not %j, and the message holds nothing of it',
    async (text) => {
      writeFileSync(file, text);
      await expect(payload()).rejects.toThrow(
        `${file} holds no join token: one line of printable characters is expected`,
      );
    },
  );

  test('in a file that is not there', async () => {
    rmSync(file);
    await expect(payload()).rejects.toThrow('cannot be read: ENOENT');
  });
});
