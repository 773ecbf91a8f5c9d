// Real processes behind real gates, and gRPC over a real socket pair.
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GrpcServer } from '../../daemon/grpc/server.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { createLog } from '../../daemon/log.ts';
import { Launch } from '../../sdk/api/gen/sigil/launch/v1/launch_pb.ts';
import { eventually } from '../../test/support/eventually.ts';
import { choosePorts } from '../up/ports.ts';
import { spawnGated, startTimeOf } from './gate.ts';
import { PairClient } from './pair-client.ts';

const exitOf = (child: ReturnType<typeof spawnGated>['child']) =>
  new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));

describe('the gate', () => {
  it('holds a program back until it is released, and keeps pid and start time', async () => {
    const gated = spawnGated(['/bin/sleep', '60'], { stdio: ['ignore', 'ignore', 'ignore'] });
    expect(readlinkSync(`/proc/${gated.pid}/exe`)).not.toMatch(/sleep/);
    gated.release();
    await eventually(() => readFileSync(`/proc/${gated.pid}/cmdline`, 'latin1').startsWith('/bin/sleep'));
    expect(startTimeOf(gated.pid)).toBe(gated.startTime);
    // The pipe is closed in the program: it holds nothing of the launcher's.
    expect(() => readlinkSync(`/proc/${gated.pid}/fd/3`)).toThrow();
    const ended = exitOf(gated.child);
    gated.child.kill('SIGKILL');
    await ended;
  });

  it('never opens if its launcher goes away', async () => {
    const gated = spawnGated(['/bin/echo', 'ran'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    gated.child.stdout!.on('data', (text: Buffer) => (output += text.toString()));
    const ended = exitOf(gated.child);
    gated.child.stdio[3]!.destroy();
    expect(await ended).toBe(1);
    expect(output).toBe('');
  });

  it('passes arguments as they are, and the exit code', async () => {
    const gated = spawnGated(['/bin/sh', '-c', '[ "$1" = "a b; c" ] && exit 7', 'sh', 'a b; c'], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    gated.release();
    expect(await exitOf(gated.child)).toBe(7);
  });
});

describe('gRPC over a socket', () => {
  const log = createLog({ name: 'test', level: 'silent' });

  const pair = async (): Promise<[Socket, Socket]> => {
    const path = join(await mkdtemp(join(tmpdir(), 'sigil-test-')), 'pair.sock');
    const server = createServer();
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const near = connect(path);
    const far = await accepted;
    server.close();
    return [near, far];
  };

  // The command line runs on Node alone, and Bun's http2 client does not end a stream that is answered by trailers only.
  it.skipIf('Bun' in globalThis)('carries calls, and errors with their message', async () => {
    const [near, far] = await pair();
    const names: string[] = [];
    const server = new GrpcServer<null>({ log }).add(Launch, {
      register: async ({ name, pid, startTime }) => {
        if (name === '') throw new RpcError('INVALID_ARGUMENT', 'no name: "ä"');
        names.push(`${name} ${pid} ${startTime}`);
        return {};
      },
    });
    server.serve(far, null);
    const client = new PairClient(near);
    await client.call(Launch.method.register, { name: 'web', pid: 7, startTime: 9n });
    await expect(client.call(Launch.method.register, { name: '' })).rejects.toThrow('no name: "ä"');
    await client.call(Launch.method.register, { name: 'orders', pid: 8, startTime: 2n ** 60n });
    expect(names).toEqual(['web 7 9', `orders 8 ${2n ** 60n}`]);
    client.close();
    server.close();
  });

  it('fails when the other end is gone', async () => {
    const [near, far] = await pair();
    const client = new PairClient(near);
    far.destroy();
    await expect(client.call(Launch.method.register, { name: 'web' }, 2_000)).rejects.toThrow();
    client.close();
  });
});

describe('ports', () => {
  it('are free, different, and the ones that were named', async () => {
    const ports = await choosePorts([]);
    expect(new Set(Object.values(ports)).size).toBe(4);
    expect((await choosePorts([`web=${ports.web}`])).web).toBe(ports.web);
  });

  it('that are wrong or in use are named', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await expect(choosePorts([`web=${port}`])).rejects.toThrow(`port ${port} (--port web=${port}) is in use`);
    server.close();
    for (const text of ['web', 'web=0', 'web=70000', 'nobody=1'])
      await expect(choosePorts([text])).rejects.toThrow(/NAME=PORT/);
  });

  it('are not confused by process names', () => {
    const child = spawn('/bin/sh', ['-c', 'sleep 5'], { argv0: 'a) R 1 (b' });
    expect(startTimeOf(child.pid!)).toBeGreaterThan(0n);
    child.kill('SIGKILL');
  });
});
