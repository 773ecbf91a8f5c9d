// Entries created a second by each store, in batches of 500, beside the same rows by plain SQL in one transaction on the
// same database: what similarity checks, the change log and a durable commit a batch cost. SIGIL_BENCH_ENTRIES: how many.
import { rmSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { join } from 'node:path';
import pg from 'pg';
import { openRegistry } from '../../identity-server/entry/registry.ts';
import { openPostgresStore } from '../../identity-server/store/postgres/postgres-store.ts';
import { rowOfEntry } from '../../identity-server/store/sql/tables.ts';
import { DATABASE_FILE, openSqliteStore } from '../../identity-server/store/sqlite/sqlite-store.ts';
import type { DatabaseSettings } from '../../identity-server/store/settings.ts';
import type { Store } from '../../identity-server/store/store.ts';
import { similarityKey } from '../../identity-server/entry/similarity.ts';
import { parseTrustDomain, type SpiffeId } from '../../sdk/spiffe-id.ts';
import {
  startPostgres,
  temporaryFolder,
  TEST_PASSWORD,
  TEST_USER,
  type TestDatabaseServer,
} from '../support/databases.ts';
import { benchEntry } from './entries.ts';
import { median, report } from './report.ts';

const trustDomain = parseTrustDomain('example.org');
const COUNT = Number(process.env.SIGIL_BENCH_ENTRIES ?? 20_000);
const BATCH = 500;
const ROUNDS = 3;

const entries = Array.from({ length: COUNT }, (_, index) => benchEntry(index));
const rows = entries.map((entry, index) => {
  const row = rowOfEntry({ ...entry, revisionNumber: 0, sequence: index + 1 }, similarityKey(entry));
  return row as unknown as Record<string, SQLInputValue>;
});
const columns = Object.keys(rows[0]!);

function* batches<T>(items: readonly T[]): Generator<readonly T[], void, undefined> {
  for (let at = 0; at < items.length; at += BATCH) yield items.slice(at, at + BATCH);
}

async function perSecond(body: () => Promise<void> | void): Promise<number> {
  const started = performance.now();
  await body();
  return (COUNT * 1_000) / (performance.now() - started);
}

async function create(store: Store): Promise<void> {
  for (const batch of batches(entries)) await store.createEntries(batch);
}

/** One at a time, as a script does it. */
async function createSingly(store: Store): Promise<number> {
  const some = entries.slice(0, 300);
  const started = performance.now();
  for (const entry of some) await store.createEntries([entry]);
  return (some.length * 1_000) / (performance.now() - started);
}

/** The longest that anything else had to wait while batches of 500 and of 5,000 were created, in milliseconds. */
async function longestHold(store: Store): Promise<number> {
  await store.createEntries(entries.slice(0, BATCH));
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  for (const batch of batches(entries.slice(BATCH, 10 * BATCH))) await store.createEntries(batch);
  await store.createEntries(entries.slice(10 * BATCH, 20 * BATCH));
  delays.disable();
  return delays.max / 1_000_000 - 1;
}

interface Result {
  readonly held: number;
  readonly batched: number;
  readonly raw: number;
  readonly singly: number;
}

async function sqlite(): Promise<Result> {
  const folder = temporaryFolder();
  try {
    const emptied = async (body: (store: Store) => Promise<number>) => {
      rmSync(join(folder, DATABASE_FILE), { force: true });
      await using store = await openSqliteStore({ folder, trustDomain });
      return await body(store);
    };
    const batched = await emptied((store) => perSecond(() => create(store)));
    const singly = await emptied(createSingly);
    const held = await emptied(longestHold);
    await emptied(async () => 0);
    const database = new DatabaseSync(join(folder, DATABASE_FILE));
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    const insert = database.prepare(
      `INSERT INTO entries (${columns.join()}) VALUES (${columns.map(() => '?').join()})`,
    );
    const raw = await perSecond(() => {
      database.exec('BEGIN');
      for (const row of rows) insert.run(...columns.map((column) => row[column]!));
      database.exec('COMMIT');
    });
    database.close();
    return { batched, raw, singly, held };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const settingsOf = ({ port }: TestDatabaseServer, name: string): DatabaseSettings => ({
  host: '127.0.0.1',
  port,
  name,
  user: TEST_USER,
  password: async () => TEST_PASSWORD,
  tls: undefined,
  maxConnections: 4,
});

async function postgres(): Promise<Result> {
  await using server = await startPostgres();
  const settings = async () => settingsOf(server, await server.createDatabase());
  const emptied = async (body: (store: Store) => Promise<number>) => {
    await using store = await openPostgresStore({ ...(await settings()), trustDomain });
    return await body(store);
  };
  const batched = await emptied((store) => perSecond(() => create(store)));
  const singly = await emptied(createSingly);
  const held = await emptied(longestHold);
  const { name, ...rest } = await settings();
  await (await openPostgresStore({ ...rest, name, trustDomain }))[Symbol.asyncDispose]();
  const client = new pg.Client({ ...rest, ssl: false, database: name });
  await client.connect();
  const raw = await perSecond(async () => {
    await client.query('BEGIN');
    for (const batch of batches(rows)) {
      const values = batch.map(
        (_, index) => `(${columns.map((__, column) => `$${index * columns.length + column + 1}`).join()})`,
      );
      await client.query(
        `INSERT INTO entries (${columns.join()}) VALUES ${values.join()}`,
        batch.flatMap((row) => columns.map((column) => row[column])),
      );
    }
    await client.query('COMMIT');
  });
  await client.end();
  return { batched, raw, singly, held };
}

for (const [database, run] of [
  ['sqlite', sqlite],
  ['postgres', postgres],
] as const) {
  const results: Result[] = [];
  // Once for nothing: the first run compiles.
  await run();
  for (let round = 0; round < ROUNDS; round++) results.push(await run());
  const of = (key: keyof Result) => median(results.map((result) => result[key]));
  const [batched, raw] = [of('batched'), of('raw')];
  report({ name: `store.${database}.raw`, value: raw, unit: 'rows a second, plain SQL, one transaction' });
  report({
    name: `store.${database}.batched`,
    value: batched,
    unit: `entries a second, batches of ${BATCH}, a durable commit each`,
    against: `store.${database}.raw`,
    ratio: batched / raw,
  });
  report({ name: `store.${database}.singly`, value: of('singly'), unit: 'entries a second, one a commit' });
  report({
    name: `store.${database}.held`,
    value: of('held'),
    unit: 'milliseconds that the event loop was held at most, by batches of 500 and one of 5,000',
    target: 'no more than 10',
    met: of('held') <= 10,
  });
}

// From the answer to a write on one server until the view of another has it.
async function propagation(): Promise<void> {
  await using server = await startPostgres();
  const settings = settingsOf(server, await server.createDatabase());
  await using near = await openPostgresStore({ ...settings, trustDomain });
  await using far = await openPostgresStore({ ...settings, trustDomain });
  const serverId = 'spiffe://example.org/spire/server' as SpiffeId;
  using registry = await openRegistry({ store: far, serverId });
  const times: number[] = [];
  for (const entry of entries.slice(0, 500)) {
    const arrived = new Promise<number>((resolve) => {
      const stop = registry.subscribe(({ changes }) => {
        if (!changes.some(({ id }) => id === entry.id)) return;
        stop();
        resolve(performance.now());
      });
    });
    await near.createEntries([entry]);
    const committed = performance.now();
    times.push((await arrived) - committed);
  }
  const sorted = times.toSorted((left, right) => left - right);
  const unit = "milliseconds from a write's answer on one server until the view of another has it";
  report({ name: 'store.postgres.other-server.p50', value: Math.max(0, median(times)), unit });
  report({ name: 'store.postgres.other-server.p99', value: sorted[Math.floor(sorted.length * 0.99)]!, unit });
}

await propagation();
