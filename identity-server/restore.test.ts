// Positions in the change log when history is rewritten: a restored backup, on SQLite and on PostgreSQL under servers
// that run, and a reader that goes from one server to another.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bundle } from '../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { parseTrustDomain, type SpiffeId } from '../sdk/spiffe-id.ts';
import { HAS_ACCOUNT } from '../test/support/account.ts';
import {
  startPostgres,
  temporaryFolder,
  TEST_PASSWORD,
  TEST_USER,
  type TestDatabaseServer,
} from '../test/support/databases.ts';
import { eventually } from '../test/support/eventually.ts';
import { startRelay } from '../test/support/relay.ts';
import { openRegistry } from './entry/registry.ts';
import { openPostgresStore } from './store/postgres/postgres-store.ts';
import { newEntry } from './store/store-contract.ts';
import { DATABASE_FILE, openSqliteStore } from './store/sqlite/sqlite-store.ts';
import type { Store } from './store/store.ts';
import { startTestServer } from './testing.ts';

const trustDomain = parseTrustDomain('example.org');
const serverId = 'spiffe://example.org/spire/server' as SpiffeId;

const create = (store: Store, ...ids: string[]) =>
  store.createEntries(ids.map((id) => newEntry({ id, selectors: [{ type: 'n', value: id }] })));

describe('SQLite', () => {
  test('restored from a backup, it never answers from a position of what was lost', async () => {
    const folder = temporaryFolder();
    const [file, backup] = [join(folder, DATABASE_FILE), join(folder, 'backup')];
    const open = () => openSqliteStore({ folder, trustDomain });
    {
      await using store = await open();
      await create(store, 'a', 'b');
    }
    cpSync(file, backup);
    let [kept, lost] = [
      { epoch: '', revision: 0 },
      { epoch: '', revision: 0 },
    ];
    {
      await using store = await open();
      kept = (await store.snapshot()).position;
      await create(store, 'lost-1', 'lost-2');
      lost = (await store.snapshot()).position;
    }
    cpSync(backup, file);
    {
      await using store = await open();
      using registry = await openRegistry({ store, serverId });
      expect(await registry.changesSince(lost)).toBeUndefined();
      // As many revisions as before, and one more: the number alone would not tell.
      await create(store, 'c', 'd', 'e');
      expect(await registry.changesSince(lost)).toBeUndefined();
      const changes = await registry.changesSince(kept);
      expect(changes!.map(({ id }) => id)).toEqual(['c', 'd', 'e']);
    }
    rmSync(folder, { recursive: true, force: true });
  });
});

describe.skipIf(!HAS_ACCOUNT)('PostgreSQL', () => {
  let postgres: TestDatabaseServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  }, 60_000);
  afterAll(() => postgres[Symbol.asyncDispose](), 60_000);

  const open = (name: string, port = postgres.port) =>
    openPostgresStore({
      host: '127.0.0.1',
      port,
      name,
      user: TEST_USER,
      password: async () => TEST_PASSWORD,
      tls: undefined,
      maxConnections: 4,
      trustDomain,
    });

  // Ends the database, does something to its files, and starts it again.
  async function whileDown(body: (data: string, backup: string) => void): Promise<void> {
    await postgres.kill();
    body(join(postgres.folder, 'data'), join(postgres.folder, 'backup'));
    await postgres.start();
  }
  const backUp = () =>
    whileDown((data, backup) => {
      rmSync(backup, { recursive: true, force: true });
      execFileSync('cp', ['-a', data, backup]);
    });
  const restore = () =>
    whileDown((data, backup) => {
      rmSync(data, { recursive: true, force: true });
      execFileSync('cp', ['-a', backup, data]);
    });

  test('restored under a server that runs, everybody begins anew', async () => {
    const name = await postgres.createDatabase();
    await using store = await open(name);
    await create(store, 'a', 'b');
    await backUp();
    const lines: unknown[] = [];
    const log = { warn: (facts: unknown) => void lines.push(facts), info: () => {} };
    const registry = await eventually(() => openRegistry({ store, serverId, log }).catch(() => undefined));
    await create(store, 'lost-1', 'lost-2');
    await registry.catchUp();
    const lost = registry.position!;
    await restore();
    // Another server writes first, until the revision is beyond the one that was followed.
    await using other = await open(name);
    await create(other, 'c', 'd', 'e');
    await eventually(() => registry.entries.get('e') !== undefined, { timeout: 15_000 });
    expect([...registry.entries.all()].map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await registry.changesSince(lost)).toBeUndefined();
    expect(lines.some((facts) => (facts as { before?: unknown }).before !== undefined)).toBe(true);
    registry[Symbol.dispose]();
  }, 60_000);

  test('a server whose authority was lost with the restored past makes another that is in the bundle', async () => {
    const password = join(postgres.folder, 'client-password');
    writeFileSync(password, TEST_PASSWORD);
    const database = {
      type: 'postgres',
      host: '127.0.0.1',
      port: postgres.port,
      user: TEST_USER,
      name: await postgres.createDatabase(),
      password_file: password,
      tls: 'off',
    };
    const config = { database, authority_publish_delay: '1s', default_x509_svid_ttl: '20s' };
    await using _first = await startTestServer({ config });
    await backUp();
    await using joined = await startTestServer({ config });
    await restore();
    const rootsOf = async () =>
      (await joined.local.unary(Bundle.method.getBundle, {})).x509Authorities.map(
        ({ asn1 }) => new X509Certificate(asn1),
      );
    await eventually(async () => (await rootsOf()).length === 2, { timeout: 20_000 });
    await eventually(
      async () => {
        const agent = await joined.attest().catch(() => undefined);
        if (agent === undefined) return false;
        const svid = new X509Certificate(agent.chain[0]!);
        return (await rootsOf()).some((root) => svid.verify(root.publicKey));
      },
      { timeout: 20_000, what: 'the joined server signs by an authority of the bundle' },
    );
    expect((await joined.local.unary(Entry.method.listEntries, {})).entries).toEqual([]);
  }, 90_000);

  test('a reader that goes to another server never sees an older view there', async () => {
    const name = await postgres.createDatabase();
    await using relay = await startRelay(postgres.port);
    await using store = await open(name);
    await using lagging = await open(name, relay.port);
    using near = await openRegistry({ store, serverId });
    using far = await openRegistry({ store: lagging, serverId });
    await create(store, 'a');
    await near.catchUp();
    await far.catchUp();
    relay.set('refused');
    await create(store, 'b');
    await near.catchUp();
    const position = near.position!;
    expect(far.entries.get('b')).toBeUndefined();
    // It knows less than the reader and cannot ask: it says so, and gives nothing.
    await expect(far.changesSince(position)).rejects.toThrow('the database cannot be reached');
    relay.set('open');
    await create(store, 'c');
    const changes = await eventually(() => far.changesSince(position).catch(() => undefined));
    expect(changes.map(({ id }) => id)).toEqual(['c']);
    expect(far.entries.get('b')).toBeDefined();
    expect(far.position!.revision).toBeGreaterThan(position.revision);
  }, 60_000);
});
