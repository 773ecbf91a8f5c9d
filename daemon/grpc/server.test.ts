import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { createLog } from '../log.ts';
import { RpcError } from './rpc-error.ts';
import { GrpcServer, type GrpcServerOptions } from './server.ts';
import { listenGrpcUnix } from './unix-listener.ts';

const log = createLog({ name: 'test', level: 'silent' });
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

let calls = 0;

/** A server whose callers are all the same, and a connection to it. */
async function serve(options: Partial<GrpcServerOptions<string>>, caller = 'known') {
  const folder = mkdtempSync(join(tmpdir(), 'sigil-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  calls = 0;
  const server = new GrpcServer<string>({ log, ...options }).add(Agent, {
    async countAgents() {
      calls++;
      return { count: 1 };
    },
  });
  const path = join(folder, 's');
  const close = await listenGrpcUnix<string>({
    path,
    mode: 0o600,
    option: 'test',
    log,
    identify: () => caller,
    onConnection: (socket, who) => server.serve(socket, who),
  });
  cleanups.push(close, () => server.close());
  const session = connectHttp2('http://test', { createConnection: () => connect(path) });
  session.on('error', () => {});
  cleanups.push(() => session.destroy());
  return session;
}

/** A call: its headers go at once, `send` sends a message of so many bytes and ends the request. */
function open(session: ClientHttp2Session) {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/spire.api.server.agent.v1.Agent/CountAgents',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const status = new Promise<number>((resolve) => {
    const read = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']));
    };
    stream.on('response', read).on('trailers', read);
    stream.on('error', () => resolve(-1));
    stream.resume();
  });
  const send = (length: number) => {
    const frame = Buffer.alloc(5 + length);
    frame.writeUInt32BE(length, 1);
    // A field that the message does not have, so that any length can be said.
    if (length > 5) {
      frame[5] = 0x7a;
      let at = 6;
      let rest = length - 4;
      for (let index = 0; index < 3; index++, rest >>= 7)
        frame[at++] = (rest & 0x7f) | (index < 2 ? 0x80 : 0);
    }
    stream.end(frame);
  };
  return { status, send, cancel: () => stream.close() };
}

/** Waits for a condition; the test's own timeout ends it. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => void setTimeout(resolve, 10));
}

const refuse = () => {
  throw new RpcError('PERMISSION_DENIED', 'no');
};

test('a caller that may not call is refused by its headers: no message is read', async () => {
  const codes: string[] = [];
  const session = await serve({ guard: refuse, onCall: (_context, code) => void codes.push(code) });
  expect(await open(session).status).toBe(7);
  expect(codes).toEqual(['PERMISSION_DENIED']);
});

test('a caller that may no longer call when its message comes is refused', async () => {
  let may = true;
  const session = await serve({
    guard() {
      if (!may) refuse();
    },
  });
  const call = open(session);
  await new Promise((resolve) => void setTimeout(resolve, 100));
  may = false;
  call.send(0);
  expect(await call.status).toBe(7);
  expect(calls).toBe(0);
});

test('a stranger may send less than others', async () => {
  const options = {
    isStranger: (caller: string) => caller === 'stranger',
    strangerLimits: { streams: 1, messageBytes: 1_000 },
  };
  for (const [caller, length, expected] of [
    ['known', 100_000, 0],
    ['stranger', 1_000, 0],
    ['stranger', 1_001, 8],
  ] as const) {
    const call = open(await serve(options, caller));
    call.send(length);
    expect(await call.status, `${caller} ${length}`).toBe(expected);
  }
});

test('a call is counted from its headers to its end, however it ends', async () => {
  let counted = 0;
  const session = await serve({
    admit() {
      if (counted === 2) throw new RpcError('RESOURCE_EXHAUSTED', 'too many');
      counted++;
      return () => void counted--;
    },
  });
  const [first, second] = [open(session), open(session)];
  await until(() => counted === 2);
  expect(await open(session).status).toBe(8);
  first.send(0);
  expect(await first.status).toBe(0);
  await until(() => counted === 1);
  second.cancel();
  await until(() => counted === 0);
});
