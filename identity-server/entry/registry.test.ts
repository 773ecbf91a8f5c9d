import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseTrustDomain, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { newEntry, newNode } from '../store/store-contract.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { temporaryFolder } from '../testing.ts';
import { openRegistry } from './registry.ts';

const serverId = 'spiffe://example.org/spire/server' as SpiffeId;
let folder: string;
let store: Store;
beforeEach(async () => {
  folder = temporaryFolder();
  store = await openSqliteStore({ folder, trustDomain: parseTrustDomain('example.org') });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test('sees what was there, and every change after it', async () => {
  await store.createEntries([newEntry()]);
  using registry = await openRegistry({ store, serverId });
  expect(registry.entries.size).toBe(1);
  const many = Array.from({ length: 2_500 }, (_, index) =>
    newEntry({ id: `m${index}`, selectors: [{ type: 'n', value: `${index}` }] }),
  );
  await store.createEntries(many);
  await store.deleteEntries(['m7', 'entry-1']);
  await store.updateEntries([{ id: 'm8', change: (entry) => ({ ...entry, hint: 'changed' }) }]);
  await registry.catchUp();
  expect(registry.entries.size).toBe(2_499);
  expect(registry.entries.get('m7')).toBeUndefined();
  expect(registry.entries.get('m8')?.hint).toBe('changed');
  expect(registry.position).toEqual((await store.snapshot()).position);
});

test('begins again when the log was compacted under it', async () => {
  using registry = await openRegistry({
    store: {
      snapshot: () => store.snapshot(),
      changesAfter: (position, limit) => store.changesAfter(position, limit),
      subscribe: () => () => {},
    },
    serverId,
  });
  await store.createEntries([newEntry()]);
  await store.deleteEntries(['entry-1']);
  await store.createEntries([newEntry({ id: 'entry-2' })]);
  await store.compact(2);
  await registry.catchUp();
  expect([...registry.entries.all()].map(({ id }) => id)).toEqual(['entry-2']);
});

test('an agent gets its entries anew after a change, and roles end with their entry', async () => {
  let time = 1_000_000;
  using registry = await openRegistry({ store, serverId, now: () => time });
  const { id } = await store.putNode(newNode());
  await store.createEntries([newEntry({ parentId: id, expiresAt: 1_001 })]);
  await registry.catchUp();
  expect([...registry.authorizedEntries(id).keys()]).toEqual(['entry-1']);
  const { spiffeId } = newEntry();
  expect(registry.hasRole(spiffeId, 'admin')).toBe(true);
  expect(registry.hasRole(spiffeId, 'downstream')).toBe(false);
  time += 1_000;
  expect(registry.authorizedEntries(id).size).toBe(0);
  expect(registry.hasRole(spiffeId, 'admin')).toBe(false);
  await store.deleteNode(id, []);
  await registry.catchUp();
  expect(registry.authorizedEntries(id).size).toBe(0);
});
