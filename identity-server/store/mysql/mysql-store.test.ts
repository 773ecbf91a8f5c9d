import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTrustDomain } from '../../../sdk/spiffe-id.ts';
import {
  MARIADB,
  startMariaDb,
  TEST_PASSWORD,
  TEST_USER,
  type TestDatabaseServer,
} from '../../../test/support/databases.ts';
import type { DatabaseSettings } from '../settings.ts';
import { newEntry, testStore } from '../store-contract.ts';
import { openMysqlStore } from './mysql-store.ts';

const trustDomain = parseTrustDomain('example.org');

describe.skipIf(MARIADB === undefined)('MariaDB (skipped unless mariadb-server is installed)', () => {
  let server: TestDatabaseServer;
  beforeAll(async () => {
    server = await startMariaDb();
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  const settings = (name: string): DatabaseSettings => ({
    host: '127.0.0.1',
    port: server.port,
    name,
    user: TEST_USER,
    password: async () => TEST_PASSWORD,
    tls: undefined,
    maxConnections: 10,
  });

  testStore('MariaDB', async () => {
    const name = await server.createDatabase();
    return {
      shared: true,
      open: () => openMysqlStore({ ...settings(name), trustDomain }),
      remove: async () => {},
    };
  });

  test('names what it cannot connect to, and never the password', async () => {
    const open = (over: Partial<DatabaseSettings>) =>
      openMysqlStore({ ...settings('mysql'), trustDomain, ...over }).then(
        () => 'opened',
        (error: Error) => error.message,
      );
    const wrong = await open({ password: async () => 'hunter2' });
    expect(wrong).toMatch(/cannot be used: .*; check database.user and database.password_file$/);
    expect(wrong).not.toContain('hunter2');
    expect(await open({ port: 1 })).toMatch(/is it running there/);
    expect(await open({ name: 'nowhere' })).toMatch(/create it first, or set database.name$/);
  });

  test('an ID with a space behind it is another ID', async () => {
    const name = await server.createDatabase();
    await using store = await openMysqlStore({ ...settings(name), trustDomain });
    await store.createEntries([newEntry()]);
    expect(await store.deleteEntries(['entry-1 '])).toEqual([false]);
    expect((await store.snapshot()).entries).toHaveLength(1);
  });
});
