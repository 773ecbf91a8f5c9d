import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makePrivateFolder, writePrivateFile } from './files.ts';
import { openDiskKeyManager } from './key-manager/disk.ts';
import { createMemoryKeyManager } from './key-manager/memory.ts';
import type { KeyManager } from './key-manager/key-manager.ts';
import { verify } from 'node:crypto';

const folder = () => mkdtemp(join(tmpdir(), 'sigil-test-'));

describe('writePrivateFile', () => {
  it('leaves a file of mode 0600 and nothing else', async () => {
    const place = await folder();
    await writePrivateFile(join(place, 'a'), 'one');
    await writePrivateFile(join(place, 'a'), 'two');
    expect(await readFile(join(place, 'a'), 'utf8')).toBe('two');
    expect((await stat(join(place, 'a'))).mode & 0o777).toBe(0o600);
    expect(await readdir(place)).toEqual(['a']);
  });

  it('leaves nothing behind where it fails', async () => {
    const place = await folder();
    await expect(writePrivateFile(join(place, 'no', 'a'), 'x')).rejects.toThrow();
    expect(await readdir(place)).toEqual([]);
  });
});

describe('makePrivateFolder', () => {
  it('makes it 0700', async () => {
    const place = join(await folder(), 'deep', 'data');
    await makePrivateFolder(place);
    expect((await stat(place)).mode & 0o777).toBe(0o700);
  });

  it('says which folder cannot be used', async () => {
    const file = join(await folder(), 'file');
    await writeFile(file, '');
    for (const place of [file, join(file, 'below'), '/proc/nothing/below']) {
      await expect(makePrivateFolder(place)).rejects.toThrow(`the data folder ${place} cannot be used`);
    }
  });
});

const managers: readonly (readonly [string, () => Promise<KeyManager>])[] = [
  ['memory', async () => createMemoryKeyManager()],
  ['disk', async () => openDiskKeyManager(join(await folder(), 'keys.json'))],
];

describe.each(managers)('key manager: %s', (_, open) => {
  it('makes keys that sign, by name, and replaces them', async () => {
    const keys = await open();
    expect(keys.key('a')).toBeUndefined();
    for (const type of ['ec-p256', 'ec-p384', 'rsa-2048'] as const) {
      const key = await keys.generateKey('a', type);
      const data = new TextEncoder().encode('data');
      expect(
        verify(type === 'ec-p384' ? 'sha384' : 'sha256', data, key.publicKey, await key.sign(data)),
      ).toBe(true);
      expect(keys.key('a')?.publicKey.equals(key.publicKey)).toBe(true);
    }
  });
});

describe('the disk key manager', () => {
  it('keeps its keys, in a file of mode 0600', async () => {
    const file = join(await folder(), 'keys.json');
    const keys = await openDiskKeyManager(file);
    const [a] = await Promise.all([keys.generateKey('a', 'ec-p256'), keys.generateKey('b', 'ec-p256')]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await openDiskKeyManager(file);
    expect(again.key('a')?.publicKey.equals(a.publicKey)).toBe(true);
    expect(again.key('b')).toBeDefined();
  });

  it('says which file is damaged, and not what is in it', async () => {
    const file = join(await folder(), 'keys.json');
    await writeFile(file, '{"keys":{"a":"c2VjcmV0"}}');
    await expect(openDiskKeyManager(file)).rejects.toThrow(`the key file ${file} is damaged`);
    await expect(openDiskKeyManager(file)).rejects.not.toThrow(/c2VjcmV0|secret/);
  });
});
