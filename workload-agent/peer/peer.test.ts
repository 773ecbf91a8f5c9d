import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, temporaryFolder } from '../testing/support.ts';
import type { Kernel } from './kernel.ts';
import { createPeerIdentifier, openKernel } from './peer.ts';
import { parseStat, parseStatus, readProcess } from './process.ts';

// A program that connects and waits; with a third argument it runs another program instead, the connection still open.
const CONNECT = `
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
if len(sys.argv) > 2 and sys.argv[2] == "exit":
    if os.fork() == 0: time.sleep(5) # keeps the connection open
    os._exit(0)
print("connected", flush=True)
if len(sys.argv) > 2: sys.stdin.readline(); os.set_inheritable(s.fileno(), True); os.execv("/bin/sleep", ["sleep", "60"])
time.sleep(60)
`;
const hasPython = ['/usr/bin/python3', '/usr/local/bin/python3'].some((path) => {
  try {
    return readdirSync(path.slice(0, path.lastIndexOf('/'))).includes('python3');
  } catch {
    return false;
  }
});

let kernel: Kernel;
const folder = temporaryFolder();
const sockets: Socket[] = [];
const closers: (() => void)[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  kernel = await openKernel();
});

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const socket of sockets) socket.destroy();
  for (const close of closers) close();
  folder[Symbol.dispose]();
});

// A listener of its own for each test: the connection that it gives is the one that the test made.
async function listen(): Promise<{ path: string; nextSocket: () => Promise<Socket> }> {
  const path = folder.file(`${closers.length}.sock`);
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    sockets.push(socket.on('error', () => {}));
  });
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, nextSocket: () => eventually(() => accepted.shift(), 'a connection') };
}

function start(...args: [string, ...string[]]): ChildProcess {
  const child = spawn(args[0], args.slice(1), { stdio: ['pipe', 'pipe', 'ignore'] });
  children.push(child);
  return child;
}

const descriptors = () => readdirSync('/proc/self/fd').length;

describe.each([true, false])('who is at the other end (SO_PEERPIDFD: %s)', (hasPeerPidfd) => {
  const identifier = () => createPeerIdentifier(kernel, hasPeerPidfd);

  test('this process itself', async () => {
    const { path, nextSocket } = await listen();
    const client = connect(path);
    const socket = await nextSocket();
    const before = descriptors();
    const peer = identifier().identify(socket);
    expect(peer).toMatchObject({ pid: process.pid, uid: process.getuid!(), gid: process.getgid!() });
    expect(peer.executable).toBe(readProcess(process.pid)!.executable);
    expect(peer.isAlive()).toBe(true);
    expect(peer.change()).toBeUndefined();
    peer.close();
    peer.close();
    expect(peer.isAlive()).toBe(false);
    expect(descriptors()).toBe(before);
    client.destroy();
  });

  test.skipIf(!hasPython)('a child: alive until it ends, also if nobody waits for it', async () => {
    const { path, nextSocket } = await listen();
    const child = start('python3', '-c', CONNECT, path);
    using peer = identifier().identify(await nextSocket());
    expect(peer.pid).toBe(child.pid!);
    expect(peer.parent).toBe(process.pid);
    child.kill('SIGKILL');
    await eventually(() => !peer.isAlive(), 'the end');
    expect(peer.change()).toBe('the process has ended');
  });

  test.skipIf(!hasPython)('a child that runs another program is not what it was', async () => {
    const { path, nextSocket } = await listen();
    const child = start('python3', '-c', CONNECT, path, 'exec');
    using peer = identifier().identify(await nextSocket());
    expect(peer.change()).toBeUndefined();
    child.stdin!.write('\n');
    await eventually(() => peer.change() !== undefined, 'the change');
    expect(peer.change()).toBe('the executable differs');
    expect(peer.isAlive()).toBe(true);
  });

  test.skipIf(!hasPython)(
    'one that left its connection to a child is refused, and no descriptor stays open',
    async () => {
      const { path, nextSocket } = await listen();
      const child = start('python3', '-c', CONNECT, path, 'exit');
      await new Promise((resolve) => child.once('exit', resolve));
      const socket = await nextSocket();
      const before = descriptors();
      expect(() => identifier().identify(socket)).toThrow(/has ended|no process/);
      expect(descriptors()).toBe(before);
    },
  );

  test('a closed connection is refused', async () => {
    const { path, nextSocket } = await listen();
    const client = connect(path);
    const socket = await nextSocket();
    socket.destroy();
    expect(() => identifier().identify(socket)).toThrow();
    client.destroy();
  });
});

describe('a process by its pid', () => {
  test('that does not exist', () => {
    expect(() => createPeerIdentifier(kernel).pin(2 ** 22 + 1)).toThrow('there is no process');
  });

  test('that exists', () => {
    using pinned = createPeerIdentifier(kernel).pin(process.pid);
    expect(pinned.startTime).toBe(readProcess(process.pid)!.startTime);
  });
});

describe('/proc', () => {
  test('a program cannot forge its start time by its name', () => {
    const name = 'x) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 (';
    const rest = ['S', '42', ...Array.from({ length: 17 }, () => '0'), '777', '0'];
    expect(parseStat(`5 (${name}) ${rest.join(' ')}\n`)).toEqual({ state: 'S', parent: 42, startTime: 777n });
    expect(() => parseStat('5 (x) S')).toThrow();
  });

  test('credentials are read from their own lines', () => {
    const status = 'Name:\tUid: 0\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n';
    expect(parseStatus(status)).toEqual({ uid: 2, gid: 6, uids: [1, 2, 3, 4], groups: [9, 10] });
    expect(parseStatus('Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t\n').groups).toEqual([]);
    expect(() => parseStatus('Name:\tx\n')).toThrow();
  });

  test('a process that does not exist', () => {
    expect(readProcess(2 ** 22 + 1)).toBeUndefined();
  });
});
