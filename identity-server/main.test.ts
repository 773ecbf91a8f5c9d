// The program as a process: what it says and how it ends.
import { credentials } from '@grpc/grpc-js';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { GrpcClient } from '../sdk/grpc/client.ts';
import { failureOf, temporaryFolder } from './testing.ts';

let folder: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = temporaryFolder();
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const node = join(import.meta.dirname, '../node_modules/.bin/node');
const program = join(import.meta.dirname, 'main.ts');

function start(config: string, ...extra: string[]) {
  const file = join(folder, 'server.yaml');
  writeFileSync(file, config);
  const args = ['--disable-warning=ExperimentalWarning', program, '--config', file, ...extra];
  const child = spawn(node, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  const exited = once(child, 'exit').then(([code]) => ({ code: code as number, output }));
  const ready = new Promise<Record<string, string>>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const line = output.split('\n').find((text) => text.includes('"ready"'));
      if (line !== undefined) resolve(JSON.parse(line));
    });
  });
  return { child, exited, ready };
}

const config = (over: Record<string, string> = {}) =>
  Object.entries({
    trust_domain: 'example.org',
    data_dir: join(folder, 'data'),
    listen: '127.0.0.1:0',
    ...over,
  })
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');

describe('identity-server', () => {
  test('says when it is ready, and stops within a second of SIGTERM without leaving its socket', async () => {
    const { child, ready, exited } = start(config());
    const { address, socket, trust_domain } = await ready;
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect([socket, trust_domain]).toEqual([join(folder, 'data/api.sock'), 'example.org']);
    const asked = performance.now();
    child.kill('SIGTERM');
    expect((await exited).code).toBe(0);
    expect(performance.now() - asked).toBeLessThan(1_000);
    expect(existsSync(socket!)).toBe(false);
  });

  test('ends with its parent when it is told so', async () => {
    const { child, ready, exited } = start(config(), '--exit-with-parent');
    await ready;
    child.stdin.end();
    expect((await exited).code).toBe(0);
  });

  test('killed at any moment, it starts again with everything that it had acknowledged', async () => {
    const first = start(config());
    const { socket } = await first.ready;
    const root = readFileSync(join(folder, 'data/keys.json'), 'utf8');
    const id = (path: string) => ({ trustDomain: 'example.org', path });
    const selectors = [{ type: 'unix', value: 'uid:1' }];
    let acknowledged = 0;
    {
      using client = new GrpcClient(`unix:${socket}`, credentials.createInsecure());
      for (let count = 0; ; count++) {
        if (count === 20) first.child.kill('SIGKILL');
        const entries = [{ parentId: id('/n'), spiffeId: id(`/w/${count}`), selectors }];
        const call = client.unary(Entry.method.batchCreateEntry, { entries }, { timeout: 2_000 });
        if ((await failureOf(call)) !== 'OK') break;
        acknowledged++;
      }
    }
    await first.exited;
    await start(config()).ready;
    using client = new GrpcClient(`unix:${socket}`, credentials.createInsecure());
    const { entries } = await client.unary(Entry.method.listEntries, {});
    expect(acknowledged).toBeGreaterThanOrEqual(20);
    const paths = entries.map(({ spiffeId }) => spiffeId!.path).slice(0, acknowledged);
    expect(paths).toEqual(Array.from({ length: acknowledged }, (_, index) => `/w/${index}`));
    expect(readFileSync(join(folder, 'data/keys.json'), 'utf8')).toBe(root);
  });

  test('names every problem of the configuration with its place, and exits with 2', async () => {
    const { code, output } = await start('trust_domain: Example\nlistn: x\nca_ttl: 3 days\n').exited;
    expect(code).toBe(2);
    const file = join(folder, 'server.yaml');
    expect(output).toContain(`identity-server: error: ${file}:1:`);
    expect(output).toContain('unknown key "listn"');
    expect(output).toContain('ca_ttl: must be a duration such as');
    expect(output).toContain('data_dir');
  });

  test.each([['--confg'], ['surplus']])('refuses the argument %s with 2', async (argument) => {
    const { code, output } = await start(config(), argument).exited;
    expect(code).toBe(2);
    expect(output).toMatch(/^identity-server: error: /);
  });

  test('names the port that is in use, and the key', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, output } = await start(config({ listen: `127.0.0.1:${port}` })).exited;
    other.close();
    expect(code).toBe(1);
    expect(output).toContain(
      `identity-server: error: 127.0.0.1:${port} (listen) is in use by another program; choose another port`,
    );
  });

  test('names a data folder that it cannot use', async () => {
    const data = join(folder, 'server.yaml/data');
    const { code, output } = await start(config({ data_dir: data })).exited;
    expect(code).toBe(1);
    expect(output).toContain(`identity-server: error: the data folder ${data} cannot be used`);
  });

  test('names a damaged database and leaves it', async () => {
    const first = start(config());
    await first.ready;
    first.child.kill('SIGTERM');
    await first.exited;
    const file = join(folder, 'data/identity-server.db');
    writeFileSync(file, 'x'.repeat(10_000));
    const { code, output } = await start(config()).exited;
    expect(code).toBe(1);
    expect(output).toContain(`identity-server: error: the database ${file} cannot be used`);
    expect(readFileSync(file, 'utf8')).toBe('x'.repeat(10_000));
  });
});
