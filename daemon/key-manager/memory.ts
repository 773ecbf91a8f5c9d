// Keys that end with the process.
import type { KeyManager, ManagedKey } from './key-manager.ts';
import { generatePrivateKey, localKey } from './local-key.ts';

export function createMemoryKeyManager(): KeyManager {
  const keys = new Map<string, ManagedKey>();
  return {
    async generateKey(id, type) {
      const key = localKey(id, await generatePrivateKey(type));
      keys.set(id, key);
      return key;
    },
    key: (id) => keys.get(id),
  };
}
