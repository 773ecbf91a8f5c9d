import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTrustDomain } from '../../../sdk/spiffe-id.ts';
import {
  startPostgres,
  TEST_PASSWORD,
  TEST_USER,
  type TestDatabaseServer,
} from '../../../test/support/databases.ts';
import { pemOf } from '../../../sdk/x509-svid/pem.ts';
import { testAuthority } from '../../../test/support/authority.ts';
import { HAS_ACCOUNT } from '../../../test/support/account.ts';
import type { DatabaseSettings } from '../settings.ts';
import { newEntry, testStore } from '../store-contract.ts';
import { openPostgresStore } from './postgres-store.ts';

const trustDomain = parseTrustDomain('example.org');
describe.skipIf(!HAS_ACCOUNT)('PostgreSQL', () => {
  let server: TestDatabaseServer;
  beforeAll(async () => {
    server = await startPostgres();
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

  testStore('PostgreSQL', async () => {
    const name = await server.createDatabase();
    return {
      shared: true,
      open: () => openPostgresStore({ ...settings(name), trustDomain }),
      remove: async () => {},
    };
  });

  test('names what it cannot connect to, and never the password', async () => {
    const open = (over: Partial<DatabaseSettings>) =>
      openPostgresStore({ ...settings('postgres'), trustDomain, ...over }).then(
        () => 'opened',
        (error: Error) => error.message,
      );
    const wrong = await open({ password: async () => 'hunter2' });
    expect(wrong).toMatch(
      /the database sigil@127.0.0.1:\d+\/postgres cannot be used: .*; check database.user and/,
    );
    expect(wrong).not.toContain('hunter2');
    expect(await open({ name: 'nowhere' })).toMatch(/create it first, or set database.name$/);
    expect(await open({ port: 1 })).toMatch(/is it running there/);
    const tls = { ca: undefined, cert: undefined, key: undefined, servername: undefined };
    expect(await open({ tls })).toMatch(/turn TLS on there, or set database.tls to "off"$/);
  });

  test('another server hears of a commit', async () => {
    const name = await server.createDatabase();
    await using one = await openPostgresStore({ ...settings(name), trustDomain });
    await using other = await openPostgresStore({ ...settings(name), trustDomain });
    // The first call comes with the connection itself.
    await new Promise<void>((resolve) => {
      const stop = other.subscribe(() => (stop(), resolve()));
    });
    const heard = new Promise<void>((resolve) => {
      other.subscribe(resolve);
    });
    await one.createEntries([newEntry()]);
    await heard;
    expect((await other.snapshot()).entries).toHaveLength(1);
  });

  test('over TLS it checks whose certificate that is', async () => {
    const authority = await testAuthority();
    const { certificates, privateKey } = await authority.issue('/database', { dnsNames: ['db.example.org'] });
    const certificatePem = (der: Uint8Array) => pemOf('CERTIFICATE', [der]);
    await using encrypted = await startPostgres({
      cert: certificatePem(certificates[0]!),
      key: pemOf('PRIVATE KEY', [privateKey]),
    });
    const open = async (tls: DatabaseSettings['tls']) => {
      const over = { port: encrypted.port, name: 'postgres', tls };
      return openPostgresStore({ ...settings('postgres'), ...over, trustDomain }).then(
        async (store) => {
          await store[Symbol.asyncDispose]();
          return 'opened';
        },
        (error: Error) => error.message,
      );
    };
    const ca = certificatePem(authority.certificate.der);
    const tls = { ca, cert: undefined, key: undefined, servername: 'db.example.org' };
    expect(await open(tls)).toBe('opened');
    expect(await open({ ...tls, servername: 'other.example.org' })).toMatch(
      /cannot be used: .*other.example.org/,
    );
    const stranger = certificatePem((await testAuthority()).certificate.der);
    expect(await open({ ...tls, ca: stranger })).toMatch(/cannot be used: .*(certificate|signature)/);
    expect(await open({ ...tls, ca: undefined })).toMatch(/cannot be used: .*certificate/);
    expect(await open(undefined)).toMatch(/cannot be used: no pg_hba.conf entry .* no encryption/);
  }, 60_000);
});
