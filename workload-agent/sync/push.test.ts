import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, describe, expect, test } from 'vitest';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { GrpcServer } from '../../daemon/grpc/server.ts';
import { listenGrpcUnix } from '../../daemon/grpc/unix-listener.ts';
import { createLog } from '../../daemon/log.ts';
import {
  Sync,
  type WatchRequest,
  type WatchResponseSchema,
} from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { createBackoff } from '../../sdk/backoff.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { SvidCache } from '../svid-cache/svid-cache.ts';
import { eventually, temporaryFolder, unixClient } from '../testing/support.ts';
import { pauseAfterFailure, RECONNECT_SPREAD } from './push-reconnect.ts';
import { PushFollower } from './push.ts';

// Bun's HTTP/2 server does not send the trailers of a stream that ends idle. Server and agent run on Node.
const isBun = process.versions['bun'] !== undefined;

const log = createLog({ name: 'test', level: 'silent' });
const trustDomain = parseTrustDomain('example.org');
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

type Response = MessageInitShape<typeof WatchResponseSchema>;
type Watch = (request: WatchRequest, signal: AbortSignal) => AsyncIterable<Response>;

const authority = await testAuthority();
const bundles = [{ trustDomain, x509Authorities: [{ asn1: authority.certificate.der }] }];
const entry = (id: string) => ({
  id,
  spiffeId: { trustDomain, path: `/${id}` },
  selectors: [{ type: 'unix', value: 'uid:1' }],
});
const at = (revision: bigint) => ({ epoch: 'e', revision });
const whole = (revision: bigint, ...ids: string[]): Response => ({
  snapshot: true,
  bundles,
  entries: ids.map(entry),
  position: at(revision),
});
const forever = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

/** A follower of a server that answers as it is told; undefined: it does not offer the service. */
async function follower(watch: Watch | undefined, patience?: number) {
  const folder = temporaryFolder();
  const path = folder.file('s');
  const server = new GrpcServer<string>({ log });
  if (watch !== undefined) server.add(Sync, { watch: (request, { signal }) => watch(request, signal) });
  const close = await listenGrpcUnix<string>({
    path,
    mode: 0o600,
    option: 'test',
    log,
    identify: () => 'agent',
    onConnection: (socket, who) => server.serve(socket, who),
  });
  let client: GrpcClient | undefined;
  const connection = {
    client: () => (client ??= unixClient(path)),
    drop: () => {
      client?.close();
      client = undefined;
    },
  };
  const cache = new SvidCache();
  const push = new PushFollower({
    trustDomain,
    identity: { connection, trust: async () => {} } as never,
    cache,
    log,
    patience,
  });
  cleanups.push(
    () => folder[Symbol.dispose](),
    close,
    () => server.close(),
    () => connection.drop(),
    () => push[Symbol.dispose](),
  );
  return { push, cache, connection, ids: () => [...cache.entries.keys()].toSorted().join(' ') };
}

const { signal } = new AbortController();

describe('a follower', () => {
  test('polls where the server has no stream, and asks again on the next connection', async () => {
    const { push, connection } = await follower(undefined);
    expect(await push.follow(signal)).toBe(false);
    expect(await push.follow(signal)).toBe(false);
    connection.drop();
    expect(await push.follow(signal)).toBe(false);
  });

  test('has the first update once it follows, and each later one as it comes', async () => {
    const next = Promise.withResolvers<void>();
    const { push, ids } = await follower(async function* (_request, over) {
      yield whole(1n, 'a');
      await next.promise;
      yield { entries: [entry('b')], removedEntryIds: ['a'], position: at(2n) };
      await forever(over);
    });
    expect(await push.follow(signal)).toBe(true);
    expect(ids()).toBe('a');
    const { version } = push;
    let woken = 0;
    push.onChange(() => woken++);
    next.resolve();
    await eventually(() => ids() === 'b', 'the change');
    expect(woken).toBe(1);
    expect(push.version).toBeGreaterThan(version);
  });

  test.skipIf(isBun)('goes on from where it stands, on a new connection or after a failure', async () => {
    const named: (bigint | undefined)[] = [];
    const { push, connection } = await follower(async function* ({ position }, over) {
      named.push(position?.revision);
      yield position === undefined ? whole(7n, 'a') : { bundles, position: at(8n) };
      if (named.length === 2) throw new RpcError('UNAVAILABLE', 'gone');
      await forever(over);
    });
    await push.follow(signal);
    expect(push.broke).toBe(false);
    connection.drop();
    await push.follow(signal).catch(() => {});
    await expect(eventually(() => push.follow(signal).then(() => false), 'the end')).rejects.toThrow(/gone/);
    expect(push.broke).toBe(true);
    await push.follow(signal);
    expect(named).toEqual([undefined, 7n, 8n]);
  });

  test.skipIf(isBun)('begins anew where it does not have what the server thinks', async () => {
    const named: (bigint | undefined)[] = [];
    const { push, ids } = await follower(async function* ({ position }, over) {
      named.push(position?.revision);
      if (position === undefined) yield whole(BigInt(named.length), 'a');
      else yield { bundles, position: at(9n), entriesDigest: new Uint8Array(32) };
      if (named.length === 1) throw new RpcError('UNAVAILABLE', 'gone');
      await forever(over);
    });
    await push.follow(signal).catch(() => {});
    await expect(
      eventually(() => push.follow(signal).then(() => named.length > 2), 'the end'),
    ).rejects.toThrow();
    await push.follow(signal).catch(() => {});
    expect(await push.follow(signal)).toBe(true);
    expect(named).toEqual([undefined, 1n, undefined]);
    expect(ids()).toBe('a');
  });

  test('does not wait for ever, nor take over an empty bundle', async () => {
    const silent = await follower(async function* (_request, over) {
      yield { snapshot: true, more: true };
      await forever(over);
    }, 50);
    await expect(silent.push.follow(signal)).rejects.toThrow(/in time/);
    const empty = await follower(async function* () {
      yield { snapshot: true, position: at(1n) };
    });
    await expect(empty.push.follow(signal)).rejects.toThrow(/empty trust bundle/);
    expect(empty.cache.ready).toBe(false);
  });
});

test('a herd comes back spread out', () => {
  const pauses = Array.from({ length: 1_000 }, (_, index) =>
    pauseAfterFailure({ isFirst: true, broke: true }, createBackoff(), () => index / 1_000),
  );
  const busiest = Math.max(
    ...Array.from(
      { length: 20 },
      (_, slot) => pauses.filter((pause) => Math.floor(pause / 100) === slot).length,
    ),
  );
  expect(busiest).toBeLessThan(60);
  expect(Math.max(...pauses)).toBeLessThan(RECONNECT_SPREAD);
  // Somebody who fails alone is back soon.
  const alone = pauseAfterFailure({ isFirst: true, broke: false }, createBackoff(), () => 0.9);
  expect(alone).toBeLessThan(200);
});
