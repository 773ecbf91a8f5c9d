import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { failureOf, startTestServer } from '../testing.ts';
import { AUTHORIZATION } from './authorization.ts';
import { RateLimiter } from './rate-limiter.ts';
import { LIMITS } from './rate-limits.ts';

const never = new AbortController().signal;

describe('RateLimiter', () => {
  const create = (perSecond: number, longestWait?: number) => {
    const state = { time: 0, waits: [] as number[] };
    const limiter = new RateLimiter({
      perSecond,
      longestWait,
      now: () => state.time,
      delay: async (milliseconds) => void state.waits.push(milliseconds),
    });
    return { state, limiter, wait: (units: number, source = 'a') => limiter.wait(source, units, never) };
  };

  test('lets a burst pass, and those behind wait their turn, each longer than the one before', async () => {
    const { state, wait } = create(10);
    await wait(10);
    expect(state.waits).toEqual([]);
    await wait(1);
    await wait(5);
    expect(state.waits).toEqual([100, 600]);
    state.time += 1_600;
    await wait(10);
    expect(state.waits).toHaveLength(2);
  });

  test('keeps sources apart, and refuses at once what never fits', async () => {
    const { state, wait } = create(2);
    await wait(2, 'a');
    await wait(2, 'b');
    expect(state.waits).toEqual([]);
    await expect(wait(3, 'c')).rejects.toThrow('rate (3) exceeds burst size (2)');
  });

  test('a queue is bounded: who would wait for too long is refused, and costs the others nothing', async () => {
    const { state, wait } = create(1, 2_000);
    await wait(1);
    await wait(1);
    await wait(1);
    await expect(wait(1)).rejects.toThrow(RpcError);
    expect(state.waits).toEqual([1_000, 2_000]);
    state.time += 1_000;
    await wait(1);
    expect(state.waits.at(-1)).toBe(2_000);
  });

  test('who goes away gives back what it was promised', async () => {
    const limiter = new RateLimiter({ perSecond: 1 });
    await limiter.wait('a', 1, never);
    const controller = new AbortController();
    const waiting = limiter.wait('a', 1, controller.signal);
    controller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    const started = performance.now();
    await limiter.wait('a', 1, never);
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  test('forgets sources that ask for nothing', async () => {
    const { state, limiter, wait } = create(1);
    for (let index = 0; index < 1_000; index++) await wait(1, String(index));
    expect(limiter.size).toBe(1_000);
    state.time += 60_000;
    await wait(1, 'x');
    state.time += 60_000;
    await wait(1, 'x');
    expect(limiter.size).toBe(1);
  });
});

test('the table is that of SPIRE, and every path in it is an RPC', () => {
  expect([...LIMITS].map(([path, { name }]) => `${path.split('/').at(-1)} ${name}`).toSorted()).toEqual([
    'AttestAgent attest',
    'BatchNewWITSVID wsr',
    'BatchNewX509SVID csr',
    'NewDownstreamX509CA csr',
    'NewJWTSVID jsr',
    'PostStatus post-status',
    'PublishJWTAuthority push-key',
    'PublishWITAuthority push-key',
    'RenewAgent csr',
  ]);
  for (const path of LIMITS.keys()) expect(AUTHORIZATION.has(path)).toBe(true);
});

test('over the wire: attestations of one address wait, batches count by their items', async () => {
  await using server = await startTestServer({ config: { rate_limits: { attestation: 2, signing: 10 } } });
  const started = performance.now();
  const agent = await server.attest();
  await server.attest();
  expect(performance.now() - started).toBeLessThan(900);
  await server.attest();
  expect(performance.now() - started).toBeGreaterThan(400);
  const client = await server.connect(agent);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const batch = (count: number) =>
    client.unary(SVID.method.batchNewX509SVID, {
      params: Array.from({ length: count }, () => ({ entryId: 'x', csr: createCsr(privateKey) })),
    });
  expect(await failureOf(batch(11))).toBe('RESOURCE_EXHAUSTED: rate (11) exceeds burst size (10)');
  await batch(10);
  const waiting = performance.now();
  // X509-SVIDs and renewals share one bucket.
  await client.unary(Agent.method.renewAgent, { params: { csr: createCsr(privateKey) } });
  expect(performance.now() - waiting).toBeGreaterThan(50);
});
