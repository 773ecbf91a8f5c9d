import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseTrustDomain } from '../../../sdk/spiffe-id.ts';
import { temporaryFolder } from '../../../test/support/databases.ts';
import { newEntry, testStore } from '../store-contract.ts';
import { openDatabase } from './database.ts';
import { reasonOf } from './reason.ts';
import { DATABASE_FILE, openSqliteStore } from './sqlite-store.ts';

const trustDomain = parseTrustDomain('example.org');

testStore('SQLite', async () => {
  const folder = temporaryFolder();
  return {
    shared: false,
    open: () => openSqliteStore({ folder, trustDomain }),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
});

async function inFolder(body: (folder: string, file: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await body(folder, join(folder, DATABASE_FILE));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function populate(folder: string): Promise<void> {
  await using store = await openSqliteStore({ folder, trustDomain });
  const entries = Array.from({ length: 200 }, (_, index) =>
    newEntry({ id: `entry-${index}`, hint: `hint ${index}`, selectors: [{ type: 'n', value: `${index}` }] }),
  );
  await store.createEntries(entries);
}

test('is durable: WAL, synchronous=FULL, and for its owner only', () =>
  inFolder(async (folder, file) => {
    const database = openDatabase(file);
    expect(database.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA synchronous').get()).toMatchObject({ synchronous: 2 });
    expect(database.prepare('PRAGMA foreign_keys').get()).toMatchObject({ foreign_keys: 1 });
    database.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).isDirectory()).toBe(true);
  }));

test('a file that is no database is refused and left as it is', () =>
  inFolder(async (folder, file) => {
    const content = 'not a database, but perhaps something that somebody needs\n'.repeat(100);
    writeFileSync(file, content);
    await expect(openSqliteStore({ folder, trustDomain })).rejects.toThrow(
      `the database ${file} cannot be used: file is not a database; it was left as it is: restore it`,
    );
    expect(readFileSync(file, 'utf8')).toBe(content);
  }));

test('a damaged database is refused and left as it is', () =>
  inFolder(async (folder, file) => {
    await populate(folder);
    const bytes = readFileSync(file);
    bytes.fill(0xff, 8_192, bytes.length - 4_096);
    writeFileSync(file, bytes);
    await expect(openSqliteStore({ folder, trustDomain })).rejects.toThrow(
      /the database .* cannot be used: .*it was left as it is: restore it from a backup/,
    );
    expect(readFileSync(file).equals(bytes)).toBe(true);
  }));

test('a folder that cannot be written is named', async () => {
  await expect(openSqliteStore({ folder: '/proc/self', trustDomain })).rejects.toThrow(
    /the database \/proc\/self\/identity-server.db cannot be used/,
  );
});

test('a database of a newer version is refused', () =>
  inFolder(async (folder, file) => {
    await populate(folder);
    const database = new DatabaseSync(file);
    database.prepare('INSERT INTO kysely_migration VALUES (?, ?)').run('9999_future', '2099-01-01');
    database.close();
    await expect(openSqliteStore({ folder, trustDomain })).rejects.toThrow(
      'it was written by a newer version of identity-server (schema 9999_future)',
    );
  }));

test('another trust domain is refused once there is something to lose', () =>
  inFolder(async (folder) => {
    const other = parseTrustDomain('other.org');
    await (await openSqliteStore({ folder, trustDomain: other }))[Symbol.asyncDispose]();
    await populate(folder);
    await expect(openSqliteStore({ folder, trustDomain: other })).rejects.toThrow(
      'it belongs to the trust domain example.org, and the configuration (trust_domain) says other.org',
    );
    await using store = await openSqliteStore({ folder, trustDomain });
    expect((await store.snapshot()).entries).toHaveLength(200);
  }));

test('a database that another process has open is refused', { timeout: 20_000 }, () =>
  inFolder(async (folder) => {
    await using _store = await openSqliteStore({ folder, trustDomain });
    await expect(openSqliteStore({ folder, trustDomain })).rejects.toThrow(
      'is another identity-server running with the same data_dir?',
    );
  }),
);

test.each([
  [5, 'busy'],
  [8 | (4 << 8), 'read-only'],
  [10 | (3 << 8), 'its disk answers with errors'],
  [13, 'its disk is full'],
  [11, 'damaged'],
  [14, 'read-only'],
])('the code %d means for callers: %s', (errcode, reason) => {
  expect(reasonOf(Object.assign(new Error('x'), { errcode }))).toContain(reason);
  expect(reasonOf(new Error('x'))).toBeUndefined();
});
