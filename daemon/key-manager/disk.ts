// Keys in one file, mode 0600, replaced as a whole. The protection is the file's mode and nothing more: sealing means
// something only with a key from outside (architecture, decision 13).
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { writePrivateFile } from '../files.ts';
import type { KeyManager, ManagedKey } from './key-manager.ts';
import { generatePrivateKey, localKey } from './local-key.ts';

/**
 * Opens the key file, or begins a new one.
 *
 * @throws Error that names the file if it cannot be read; its content is never in the message.
 */
export async function openDiskKeyManager(file: string): Promise<KeyManager> {
  const privateKeys = await load(file);
  const keys = new Map<string, ManagedKey>();
  for (const [id, key] of privateKeys) keys.set(id, localKey(id, key));
  let writing: Promise<void> = Promise.resolve();
  return {
    async generateKey(id, type) {
      const privateKey = await generatePrivateKey(type);
      const store = async () => {
        await writePrivateFile(file, serialize(new Map(privateKeys).set(id, privateKey)));
        privateKeys.set(id, privateKey);
      };
      // One write at a time, and a key counts only once it is on disk.
      writing = writing.then(store, store);
      await writing;
      const key = localKey(id, privateKey);
      keys.set(id, key);
      return key;
    },
    key: (id) => keys.get(id),
  };
}

async function load(file: string): Promise<Map<string, KeyObject>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new Error(`the key file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { keys } = JSON.parse(text) as { keys: Record<string, string> };
    return new Map(
      Object.entries(keys).map(([id, pkcs8]) => [
        id,
        createPrivateKey({ key: Buffer.from(pkcs8, 'base64'), format: 'der', type: 'pkcs8' }),
      ]),
    );
  } catch {
    throw new Error(
      `the key file ${file} is damaged: restore it from a backup, or remove it to begin with new keys`,
    );
  }
}

function serialize(keys: ReadonlyMap<string, KeyObject>): string {
  const entries = [...keys].map(([id, key]) => [
    id,
    key.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
  ]);
  return `${JSON.stringify({ keys: Object.fromEntries(entries) }, null, 2)}\n`;
}
