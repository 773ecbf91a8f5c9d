// kill -9 in the middle of writes: nothing that was acknowledged is lost, nothing is half there, and the database is
// sound. SIGIL_CHAOS_ROUNDS says how often.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DATABASE_FILE, openSqliteStore } from '../../identity-server/store/sqlite/sqlite-store.ts';
import type { Snapshot } from '../../identity-server/store/store.ts';
import { temporaryFolder } from '../support/databases.ts';
import { entriesOf, journalOf, TRUST_DOMAIN } from './shape.ts';

const ROUNDS = Number(process.env.SIGIL_CHAOS_ROUNDS ?? 10);
const node = join(import.meta.dirname, '../../node_modules/.bin/node');

/** The last number of each kind that was acknowledged; -1: none. */
interface Acknowledged {
  created: number;
  deleted: number;
  journal: number;
}

// Lets a writer run for a while, kills it, and adds what it had said.
async function round(folder: string, acknowledged: Acknowledged, next: number): Promise<void> {
  const script = join(import.meta.dirname, 'writer.ts');
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', script, folder, String(next)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // At any moment: while it opens, in its first write, or after many.
    if (output === '') setTimeout(() => child.kill('SIGKILL'), Math.random() * 120);
    output += text;
  });
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  expect(signal, 'the writer was killed and did not end by itself').toBe('SIGKILL');
  // The last line may be half of one.
  for (const line of output.split('\n').slice(0, -1)) {
    const [kind, number] = line.split(' ');
    if (kind !== 'open') acknowledged[kind as keyof Acknowledged] = Number(number);
  }
}

// Which numbers have entries; fails if a batch is there in part.
function wholeBatches({ entries }: Snapshot): Set<number> {
  const counts = new Map<number, number>();
  for (const { id } of entries) {
    const number = Number(id.split('-')[0]);
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  for (const [number, count] of counts) expect(count, `batch ${number}`).toBe(entriesOf(number).length);
  return new Set(counts.keys());
}

test(`${ROUNDS} times kill -9 during writes on SQLite`, { timeout: 60_000 + ROUNDS * 3_000 }, async () => {
  const folder = temporaryFolder();
  const acknowledged: Acknowledged = { created: -1, deleted: -1, journal: -1 };
  let [next, revision, writes] = [0, 0, 0];
  for (let count = 0; count < ROUNDS; count++) {
    const before = next;
    await round(folder, acknowledged, next);
    const { created, deleted, journal } = acknowledged;
    {
      await using store = await openSqliteStore({ folder, trustDomain: TRUST_DOMAIN });
      const snapshot = await store.snapshot();
      const there = wholeBatches(snapshot);
      const newest = Math.max(-1, ...there);
      // Besides what was acknowledged, the one write that was under way may have happened.
      expect([created, created + 1]).toContain(newest);
      for (const number of there) expect(number).toBeGreaterThan(deleted);
      for (let number = deleted + 2; number <= created; number++) expect(there.has(number)).toBe(true);
      const state = await store.authorities();
      const last = state.records[0]?.issuedAt ?? -1;
      expect([journal, created]).toContain(last);
      if (last >= 0) expect(state).toEqual(journalOf(last));
      expect(snapshot.position.revision).toBeGreaterThanOrEqual(revision);
      revision = snapshot.position.revision;
      // The numbers go on after what is there.
      next = newest + 1;
      Object.assign(acknowledged, { created: newest, journal: last });
      const left = [...there].filter((number) => number !== newest);
      for (const number of left) await store.deleteEntries(entriesOf(number).map(({ id }) => id));
      acknowledged.deleted = newest - 1;
    }
    writes += next - before;
    const database = new DatabaseSync(join(folder, DATABASE_FILE));
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
    const [log] = database
      .prepare('SELECT count(*) AS rows, max(revision) AS last, min(revision) AS first FROM changes')
      .all();
    expect(log!.rows).toBe(Number(log!.last) - Number(log!.first) + 1);
    database.close();
  }
  rmSync(folder, { recursive: true, force: true });
  expect(writes).toBeGreaterThan(ROUNDS);
  console.log(JSON.stringify({ name: 'chaos.kill', rounds: ROUNDS, batches: writes, revisions: revision }));
});
