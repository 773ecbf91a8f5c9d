import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createLog } from '../daemon/log.ts';
import { parseTrustDomain, type SpiffeId } from '../sdk/spiffe-id.ts';
import { openRegistry } from './entry/registry.ts';
import { prune } from './maintenance.ts';
import { newEntry } from './store/store-contract.ts';
import { openSqliteStore } from './store/sqlite/sqlite-store.ts';
import { temporaryFolder } from './testing.ts';

test('prune deletes entries and tokens that expired, and nothing else', async () => {
  const folder = temporaryFolder();
  {
    await using store = await openSqliteStore({ folder, trustDomain: parseTrustDomain('example.org') });
    using registry = await openRegistry({ store, serverId: 'spiffe://example.org/spire/server' as SpiffeId });
    const entry = (id: string, expiresAt: number) =>
      newEntry({ id, expiresAt, selectors: [{ type: 'n', value: id }] });
    await store.createEntries([entry('past', 99), entry('now', 100), entry('later', 101), entry('never', 0)]);
    await store.createJoinToken({ digest: 'past', expiresAt: 99 });
    await store.createJoinToken({ digest: 'later', expiresAt: 101 });
    const lines: string[] = [];
    const log = createLog({ name: 'test', destination: { write: (line) => void lines.push(line) } });
    await registry.catchUp();
    await prune({ store, registry, log, now: () => 100_000 });
    expect([...registry.entries.all()].map(({ id }) => id)).toEqual(['later', 'never']);
    expect((await store.snapshot()).entries).toHaveLength(2);
    expect([await store.hasJoinToken('past'), await store.hasJoinToken('later')]).toEqual([false, true]);
    expect(lines.filter((line) => line.includes('pruned an expired registration entry'))).toHaveLength(2);
  }
  rmSync(folder, { recursive: true, force: true });
});
