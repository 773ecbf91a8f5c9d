import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createWorkloadAttestors } from '../../attestors/workload/catalog.ts';
import { LaunchRegistry } from '../../attestors/workload/launch/registry.ts';
import { createLog } from '../../daemon/log.ts';
import { Launch } from '../../sdk/api/gen/sigil/launch/v1/launch_pb.ts';
import { serveAdmin, serveWorkloadApi } from '../endpoints.ts';
import { createPeerIdentifier, openKernel } from '../peer/peer.ts';
import { readProcess } from '../peer/process.ts';
import { SvidCache } from '../svid-cache/svid-cache.ts';
import { eventually, HEADER, temporaryFolder, unixClient } from '../testing/support.ts';
import { createWorkloadAttestation } from '../workload-api/attestation.ts';
import type { LauncherRule } from './launch-authorization.ts';

const kernel = await openKernel();
const identifier = createPeerIdentifier(kernel);
const log = createLog({ name: 'test', level: 'silent' });
const uid = process.getuid!();
const LAST_PID = '/proc/sys/kernel/ns_last_pid';
const canChoosePids = (() => {
  try {
    // Its mode says yes to everybody; only a write tells.
    writeFileSync(LAST_PID, readFileSync(LAST_PID));
    return true;
  } catch {
    return false;
  }
})();
const NOT_ALLOWED = { code: 7, details: 'this caller may not give this name to this process' };

let folder: ReturnType<typeof temporaryFolder>;
let registry: LaunchRegistry;
let cleanup: (() => void)[];

beforeEach(() => {
  folder = temporaryFolder();
  registry = new LaunchRegistry();
  cleanup = [() => folder[Symbol.dispose](), () => registry[Symbol.dispose]()];
});
afterEach(() => {
  for (const end of cleanup.toReversed()) end();
});

// A process that waits behind its gate, as a launcher starts them.
function gated(command = 'read word; exec sleep 60'): {
  child: ChildProcess;
  pid: number;
  startTime: bigint;
} {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'ignore'] });
  cleanup.push(() => child.kill('SIGKILL'));
  return { child, pid: child.pid!, startTime: readProcess(child.pid!)!.startTime };
}

async function admin(launchers: LauncherRule[] = [], launchFd?: number) {
  const path = folder.file('admin.sock');
  cleanup.push(await serveAdmin({ path, mode: 0o600, identifier, registry, launchers, log, launchFd }));
  return connect(path);
}

function connect(path: string) {
  const client = unixClient(path);
  cleanup.push(() => client.close());
  return client;
}

// The other end of a socket pair, made reachable for a grpc-js client.
async function inherited() {
  const [agentEnd, launcherEnd] = kernel.socketPair()!;
  await admin([], agentEnd);
  const pair = new Socket({ fd: launcherEnd, readable: true, writable: true });
  const bridge = createServer((socket) => void socket.pipe(pair).pipe(socket));
  await new Promise<void>((resolve) => bridge.listen(folder.file('bridge.sock'), resolve));
  cleanup.push(
    () => bridge.close(),
    () => pair.destroy(),
  );
  return connect(folder.file('bridge.sock'));
}

async function selectorsOf(pid: number): Promise<string[]> {
  using pinned = identifier.pin(pid);
  const attestors = createWorkloadAttestors({ unix: {}, launches: registry });
  const found = await createWorkloadAttestation(attestors, log)(pinned, new AbortController().signal);
  return [...found].filter((selector) => selector.startsWith('launch:'));
}

// Bun cannot adopt a descriptor as a socket. The agent itself runs on Node.
describe.skipIf(process.versions['bun'] !== undefined)('over the inherited socket', () => {
  test('any process gets its name, and keeps it through exec; its children do not have it', async () => {
    const client = await inherited();
    const { child, pid, startTime } = gated('read word; exec /bin/sh -c "sleep 60 & echo \\$!; wait"');
    await client.unary(Launch.method.register, { pid, startTime, name: 'web' });
    expect(await selectorsOf(pid)).toEqual(['launch:name:web']);
    child.stdin!.write('go\n');
    const [output] = (await once(child.stdout!, 'data')) as [Uint8Array];
    const grandchild = Number(new TextDecoder().decode(output));
    expect(await selectorsOf(pid)).toEqual(['launch:name:web']);
    expect(await selectorsOf(grandchild)).toEqual([]);
    process.kill(grandchild, 'SIGKILL');
  });

  test('the name ends with the process', async () => {
    const client = await inherited();
    const { child, pid, startTime } = gated();
    await client.unary(Launch.method.register, { pid, startTime, name: 'web' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    registry.sweep();
    expect(registry.size).toBe(0);
  });

  test.each([
    ['a start time that is not the process’s', { startTime: 1n }, 9],
    ['a process that does not exist', { pid: 2 ** 22 + 1 }, 5],
    ['no process', { pid: 0 }, 3],
    ['a process group', { pid: -1 }, 3],
    ['a name with a space', { name: 'a b' }, 3],
    ['no name', { name: '' }, 3],
  ])('is refused: %s', async (_what, over, code) => {
    const client = await inherited();
    const { pid, startTime } = gated();
    const before = readdirSync('/proc/self/fd').length;
    await expect(
      client.unary(Launch.method.register, { pid, startTime, name: 'web', ...over }),
    ).rejects.toMatchObject({ code });
    expect(registry.size).toBe(0);
    // A connection is two descriptors more; no pidfd stays.
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 3);
  });
});

describe('a process of the same user that has not been named a launcher', () => {
  test('gets nothing over the admin socket', async () => {
    const client = await admin();
    const { pid, startTime } = gated();
    await expect(client.unary(Launch.method.register, { pid, startTime, name: 'web' })).rejects.toMatchObject(
      NOT_ALLOWED,
    );
    const own = readProcess(process.pid)!.startTime;
    await expect(
      client.unary(Launch.method.register, { pid: process.pid, startTime: own, name: 'web' }),
    ).rejects.toMatchObject(NOT_ALLOWED);
    expect(await selectorsOf(pid)).toEqual([]);
    expect(await selectorsOf(process.pid)).toEqual([]);
  });

  test('gets nothing over the Workload API, with or without the header', async () => {
    const path = folder.file('api.sock');
    const cache = new SvidCache();
    cleanup.push(
      await serveWorkloadApi({ path, identifier, cache, attest: createWorkloadAttestation([], log), log }),
    );
    const client = connect(path);
    const { pid, startTime } = gated();
    for (const metadata of [undefined, HEADER]) {
      await expect(
        client.unary(Launch.method.register, { pid, startTime, name: 'web' }, { metadata }),
      ).rejects.toMatchObject({ code: 12 });
    }
    expect(await selectorsOf(pid)).toEqual([]);
  });
});

describe('a configured launcher over the admin socket', () => {
  test('names its own child', async () => {
    const client = await admin([{ uid, names: ['web'] }]);
    const { pid, startTime } = gated();
    await client.unary(Launch.method.register, { pid, startTime, name: 'web' });
    expect(await selectorsOf(pid)).toEqual(['launch:name:web']);
  });

  test('may not give a name that is not listed, and another user may not give one that is', async () => {
    const { pid, startTime } = gated();
    const client = await admin([
      { uid, names: ['web'] },
      { uid: uid + 1, names: ['admin'] },
    ]);
    await expect(
      client.unary(Launch.method.register, { pid, startTime, name: 'admin' }),
    ).rejects.toMatchObject(NOT_ALLOWED);
  });

  test('may not name a process that it did not start: not itself, not its grandchild', async () => {
    const client = await admin([{ uid, names: ['web'] }]);
    const { child } = gated('sleep 60 & echo $!; wait');
    const [output] = (await once(child.stdout!, 'data')) as [Uint8Array];
    const grandchild = Number(new TextDecoder().decode(output));
    for (const pid of [process.pid, grandchild, process.ppid]) {
      const facts = readProcess(pid);
      if (facts === undefined || pid <= 1) continue;
      await expect(
        client.unary(Launch.method.register, { pid, startTime: facts.startTime, name: 'web' }),
      ).rejects.toMatchObject(NOT_ALLOWED);
    }
    process.kill(grandchild, 'SIGKILL');
  });

  test.skipIf(uid !== 0)('may not name a child that runs as another user', async () => {
    const client = await admin([{ uid, names: ['web'] }]);
    const child = spawn('/bin/sleep', ['60'], { uid: 65_534, gid: 65_534 });
    cleanup.push(() => child.kill('SIGKILL'));
    const facts = await eventually(() => {
      const found = readProcess(child.pid!);
      return found?.uid === 65_534 ? found : undefined;
    }, 'the child');
    await expect(
      client.unary(Launch.method.register, { pid: child.pid!, startTime: facts.startTime, name: 'web' }),
    ).rejects.toMatchObject(NOT_ALLOWED);
  });
});

describe.skipIf(!canChoosePids)('a process that gets the pid of a launched one', () => {
  test('gets neither its name nor its registration', async () => {
    const { child, pid, startTime } = gated();
    using web = identifier.pin(pid);
    registry.register(identifier.pin(pid), 'web');
    expect(await selectorsOf(pid)).toEqual(['launch:name:web']);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // Others start processes at the same time, so more than one attempt may be needed.
    const successor = await eventually(() => {
      writeFileSync(LAST_PID, String(pid - 1));
      return [gated()].find((each) => each.pid === pid);
    }, 'the same pid');
    expect(web.isAlive()).toBe(false);
    expect(web.change()).toBe('the process has ended');
    expect(await selectorsOf(pid)).toEqual([]);
    // A tick is 10 ms: the successor may well have the same start time. Only the pidfd tells the two apart.
    if (successor.startTime === startTime) return;
    const client = await admin([{ uid, names: ['web'] }]);
    await expect(client.unary(Launch.method.register, { pid, startTime, name: 'web' })).rejects.toMatchObject(
      { code: 9 },
    );
  });
});
