// Against a real MariaDB where there is one, whose certificate is an SVID and which asks for the client's; and against a
// server of our own for what no honest one does.
import { Buffer } from 'node:buffer';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection, createPool, type Connection, type ConnectionOptions } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { authorizeId, type Authorizer } from '../tls/index.ts';
import { FixedSource } from '../tls/testing.ts';
import { pemOf } from '../x509-svid/pem.ts';
import { mysqlOptions } from './index.ts';
import { offersTls, PacketReader, splitHandshakeResponse } from './packets.ts';

const MARIADB = '/usr/sbin/mariadbd';
let authority: TestAuthority;
let other: TestAuthority;
const connections: Connection[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  [authority, other] = await Promise.all([testAuthority(), testAuthority()]);
});
afterEach(() => {
  for (const connection of connections.splice(0)) connection.destroy();
  for (const server of servers.splice(0)) server.close();
});

const sourceOf = async (from: TestAuthority = authority) =>
  new FixedSource(await from.issue('/orders'), authority.bundles);

interface Options extends ConnectionOptions {
  source?: FixedSource;
  authorize?: Authorizer;
}

async function optionsFor({ source, authorize, ...rest }: Options): Promise<ConnectionOptions> {
  const identity = {
    source: source ?? (await sourceOf()),
    authorize: authorize ?? authorizeId(authority.id('/database')),
  };
  return { ...mysqlOptions(identity), host: '127.0.0.1', user: 'orders', ...rest };
}

async function open(options: Options): Promise<Connection> {
  const connection = await createConnection(await optionsFor(options));
  connections.push(connection);
  return connection;
}

// Skipped where no MariaDB is installed: no npm package brings one.
describe.skipIf(!existsSync(MARIADB))('mysqlOptions with MariaDB', { timeout: 30_000 }, () => {
  let folder: string;
  let database: ChildProcess;
  let port: number;

  beforeAll(async () => {
    folder = await mkdtemp('/tmp/sigil-mariadb-');
    await chmod(folder, 0o755);
    const data = join(folder, 'data');
    const asUser = process.getuid?.() === 0 ? ['--user=mysql'] : [];
    const install = [
      '--no-defaults',
      ...asUser,
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
    ];
    await promisify(execFile)('mariadb-install-db', [...install, '--skip-test-db']);
    const svid = await authority.issue('/database');
    const files = {
      'server.pem': pemOf('CERTIFICATE', svid.certificates),
      'server.key': pemOf('PRIVATE KEY', [svid.privateKey]),
      'ca.pem': pemOf('CERTIFICATE', [authority.certificate.der]),
      'init.sql': [
        "create user orders@'%' require x509;",
        "create user careful@'%' identified by 'a password' require x509;",
        'flush privileges;',
      ].join('\n'),
    };
    const { uid, gid } = await stat(data);
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(data, name), text, { mode: 0o600 });
      await chown(join(data, name), uid, gid);
    }
    port = await freePort();
    const settings = { cert: 'server.pem', key: 'server.key', ca: 'ca.pem' };
    database = spawn(MARIADB, [
      '--no-defaults',
      ...asUser,
      `--datadir=${data}`,
      `--socket=${join(data, 'db.sock')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--max-allowed-packet=64M',
      `--init-file=${join(data, 'init.sql')}`,
      ...Object.entries(settings).map(([name, file]) => `--ssl-${name}=${join(data, file)}`),
    ]);
    await eventually(
      () =>
        open({ port }).then(
          () => true,
          () => false,
        ),
      { timeout: 20_000 },
    );
  }, 60_000);
  afterAll(async () => {
    if (database !== undefined && database.exitCode === null) {
      database.kill('SIGTERM');
      await once(database, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  });

  const rowsOf = async (connection: Connection, query: string) =>
    (await connection.query(query))[0] as Record<string, string>[];

  it('connects with an SVID, and works', async () => {
    const connection = await open({ port });
    expect((await rowsOf(connection, "show status like 'Ssl_version'"))[0]!['Value']).toBe('TLSv1.3');
    const [big] = await rowsOf(connection, "select repeat('x', 3000000) as text");
    expect(big!['text']!.length).toBe(3_000_000);
    const long = 'y'.repeat(2_000_000);
    const [[echoed]] = (await connection.execute('select ? as text', [long])) as unknown as [
      { text: string }[],
    ];
    expect(echoed!.text).toBe(long);
  });

  it('logs in with a password on top', async () => {
    const connection = await open({ port, user: 'careful', password: 'a password' });
    expect((await rowsOf(connection, 'select user() as name'))[0]!['name']).toContain('careful@');
    await expect(open({ port, user: 'careful', password: 'wrong' })).rejects.toMatchObject({
      code: 'ER_ACCESS_DENIED_ERROR',
    });
  });

  it('serves a pool, whose new connections present the SVID of their time', async () => {
    const source = await sourceOf();
    const pool = createPool(await optionsFor({ port, source, connectionLimit: 2 }));
    const answers = await Promise.all([1, 2, 3, 4].map((value) => pool.query(`select ${value} as value`)));
    expect(answers.map(([rows]) => (rows as { value: number }[])[0]!.value)).toEqual([1, 2, 3, 4]);
    source.set({ svid: await other.issue('/orders') });
    await expect(open({ port, source })).rejects.toThrow();
    await pool.end();
  });

  it('refuses a server with another ID, or of another authority', async () => {
    const authorize = authorizeId(authority.id('/other-database'));
    await expect(open({ port, authorize })).rejects.toMatchObject({ code: 'ERR_SVID_UNEXPECTED_ID' });
    const source = await sourceOf();
    source.set({ bundles: other.bundles });
    await expect(open({ port, source })).rejects.toMatchObject({ code: 'ERR_SVID_UNTRUSTED' });
  });
});

// A greeting of the protocol, version 10, with or without CLIENT_SSL.
function greeting(capabilities: number): Uint8Array {
  const payload = Uint8Array.of(
    10,
    ...Buffer.from('fake\0'),
    0,
    0,
    0,
    0,
    ...Buffer.from('scramble'),
    0,
    capabilities & 255,
    capabilities >> 8,
  );
  return Uint8Array.of(payload.length, 0, 0, 0, ...payload);
}

async function fake(hello: Uint8Array): Promise<{ port: number; heard: Uint8Array[] }> {
  const heard: Uint8Array[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard.push(Uint8Array.from(bytes as Buffer));
      socket.destroy();
    });
    socket.write(hello);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, heard };
}

describe('mysqlOptions', () => {
  it('says nothing but that it wants TLS before the server is verified', async () => {
    const { port, heard } = await fake(greeting(0x0a00 | 0x8000));
    await expect(open({ port, user: 'a-secret-name', password: 'x' })).rejects.toMatchObject({
      code: 'ERR_TLS',
    });
    const said = Buffer.concat(heard);
    expect([...said.subarray(0, 4)]).toEqual([32, 0, 0, 1]);
    expect(said.toString('latin1')).not.toContain('a-secret-name');
    expect(said[36]).toBe(22); // then a TLS handshake
  });

  it.each([
    ['offers no TLS', greeting(0x8200)],
    ['says more than its greeting', Uint8Array.of(...greeting(0x8a00), 1)],
    ['greets with an error', Uint8Array.of(3, 0, 0, 0, 0xff, 1, 1)],
    ['sends a packet without end', Uint8Array.of(255, 255, 255, 0)],
  ])('says nothing at all to a server that %s', async (_name, hello) => {
    const { port, heard } = await fake(hello);
    await expect(open({ port })).rejects.toMatchObject({ code: 'ERR_TLS' });
    expect(heard).toEqual([]);
  });

  it('needs an authorizer', async () => {
    const source = await sourceOf();
    expect(() => mysqlOptions({ source, authorize: undefined as unknown as Authorizer })).toThrow(TypeError);
  });
});

describe('packets', () => {
  it('come whole, however they arrive', () => {
    const bytes = Uint8Array.of(1, 0, 0, 0, 7, 2, 0, 0, 1, 8, 9, 5);
    const reader = new PacketReader();
    const packets = [...bytes].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    expect(packets.map((packet) => [...packet])).toEqual([
      [1, 0, 0, 0, 7],
      [2, 0, 0, 1, 8, 9],
    ]);
    expect([...reader.takeRest()]).toEqual([5]);
  });

  it('offer TLS only where they say so', () => {
    expect(offersTls(greeting(0x0800))).toBe(true);
    expect(offersTls(greeting(0))).toBe(false);
    expect(offersTls(greeting(0x0800).subarray(0, 12))).toBe(false);
    expect(() => splitHandshakeResponse(new Uint8Array(10))).toThrow(TypeError);
  });
});

async function freePort(): Promise<number> {
  const { port } = await fake(new Uint8Array(0));
  const server = servers.pop()!;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
