import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pemOf } from '../sdk/x509-svid/pem.ts';
import { testAuthority } from '../test/support/authority.ts';
import { startTestServer } from './testing/server.ts';
import { eventually, temporaryFolder } from './testing/support.ts';

const PROGRAM = fileURLToPath(new URL('main.ts', import.meta.url));
const NODE = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
let children: ChildProcess[] = [];
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  folder[Symbol.dispose]();
});

function start(...args: string[]) {
  const child = spawn(NODE, ['--disable-warning=ExperimentalWarning', PROGRAM, ...args], { stdio: 'pipe' });
  children.push(child);
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { child, output: () => output, code: once(child, 'close').then(([code]) => code as number | null) };
}

function configure(port: number, over = ''): string {
  const file = folder.file('agent.yaml');
  writeFileSync(
    file,
    `trust_domain: example.org
data_dir: ${folder.file('data')}
server: 127.0.0.1:${port}
trust_bundle_file: ${folder.file('bundle.pem')}
join_token_file: '-'
log_level: trace
${over}`,
  );
  return file;
}

async function withServer() {
  const authority = await testAuthority();
  writeFileSync(folder.file('bundle.pem'), pemOf('CERTIFICATE', [authority.certificate.der]));
  return startTestServer(authority);
}

describe('the program', () => {
  test('takes a token from standard input, is ready within a second of it, and stops within one', async () => {
    using server = await withServer();
    const agent = start('--config', configure(server.port), '--exit-with-parent');
    agent.child.stdin.write('token-1\n');
    await eventually(() => agent.output().includes('"ready"'), 'ready');
    const [listening, ready] = ['"listening"', '"ready"'].map((text) => {
      const line = agent
        .output()
        .split('\n')
        .find((each) => each.includes(text))!;
      return Date.parse((JSON.parse(line) as { time: string }).time);
    });
    expect(ready! - listening!).toBeLessThan(1_000);
    expect(agent.output()).not.toContain('token-1');
    expect(readFileSync(`/proc/${agent.child.pid}/cmdline`, 'utf8')).not.toContain('token-1');
    const begin = performance.now();
    agent.child.kill('SIGTERM');
    expect(await agent.code).toBe(0);
    expect(performance.now() - begin).toBeLessThan(1_000);
    expect(existsSync(folder.file('data/public/api.sock'))).toBe(false);
  });

  test('ends with its parent', async () => {
    using server = await withServer();
    const agent = start('--config', configure(server.port), '--exit-with-parent');
    agent.child.stdin.write('token-1\n');
    await eventually(() => agent.output().includes('"ready"'), 'ready');
    agent.child.stdin.end();
    expect(await agent.code).toBe(0);
  });

  test('replaces the sockets that a killed agent left, and leaves those of a living one alone', async () => {
    using server = await withServer();
    server.state.tokens.add('token-2');
    const first = start('--config', configure(server.port));
    first.child.stdin.write('token-1\n');
    await eventually(() => first.output().includes('"ready"'), 'ready');
    const second = start('--config', configure(server.port));
    second.child.stdin.write('token-2\n');
    expect(await second.code).toBe(1);
    expect(second.output()).toContain('api.sock (socket_path) is in use by another program');
    first.child.kill('SIGKILL');
    await first.code;
    const third = start('--config', configure(server.port));
    third.child.stdin.write('\n');
    await eventually(() => third.output().includes('"ready"'), 'ready again');
  });

  test.each([
    ['no configuration', () => [], 'workload-agent: error: --config FILE is missing', 2],
    ['an unknown option', () => ['--token', 'x'], "workload-agent: error: Unknown option '--token'", 2],
    [
      'a bad descriptor',
      () => ['--config', 'x', '--launch-fd', 'abc'],
      'must be the number of a descriptor',
      2,
    ],
    ['a file that is not there', () => ['--config', folder.file('none')], 'cannot be read', 2],
    [
      'an unknown key',
      () => ['--config', configure(1, 'tokne: x\n')],
      'agent.yaml:7:1: unknown key "tokne"',
      2,
    ],
    ['no trust bundle', () => ['--config', configure(1)], 'bundle.pem (trust_bundle_file) cannot be used', 1],
  ])('says what is wrong: %s', async (_what, args, message, code) => {
    const agent = start(...args());
    agent.child.stdin.end();
    expect(await agent.code).toBe(code);
    expect(agent.output()).toContain(message);
  });
});
