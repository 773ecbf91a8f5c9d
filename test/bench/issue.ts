// npm run bench:issue: SVIDs a second through the real API over mutual TLS on loopback, the server on one core and this
// client on another; beside it, in turns, what that core can do at best. JSON lines.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import { clientOf } from '../../identity-server/testing.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { GrpcClient } from '../../sdk/grpc/client.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import type { Answer, Command } from './issue-server.ts';
import { median, report } from './report.ts';

const ROUNDS = Number(process.env['SIGIL_BENCH_ROUNDS'] ?? 7);
const ROUND_MS = 1_500;
const MAX_HOLD = 10;

const cores = cpus().length;
const serverCore = 0;
const folder = mkdtempSync(join(tmpdir(), 'sigil-bench-'));
// The client must not take from the server's core.
if (cores > 1)
  spawnSync('taskset', ['-a', '-cp', `1-${cores - 1}`, String(process.pid)], { stdio: 'ignore' });
const server = startServer();
try {
  await run();
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function run(): Promise<void> {
  const { agent, entryId, csrs } = await prepare();
  const params = csrs.map((csr) => ({ entryId, csr }));
  const batch = (size: number) => async () => {
    const { results } = await agent.unary(SVID.method.batchNewX509SVID, { params: params.slice(0, size) });
    if (results.some(({ status }) => status!.code !== 0)) throw new Error('an item failed');
  };
  // Warm: the engine has compiled what is measured.
  await during(3_000, 4, batch(50));
  await ask({ kind: 'limit', milliseconds: 1_000 });

  for (const [size, concurrency] of [
    [1, 32],
    [50, 4],
    [500, 3],
  ] as const) {
    await measureBatches(size, concurrency, batch(size));
  }
  await measureHold(500, batch(500));
  await measureJwt(agent, entryId);
  await measureLatency(batch(1), batch(500));
}

async function measureBatches(size: number, concurrency: number, call: () => Promise<void>): Promise<void> {
  const limits: number[] = [];
  const rates: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    limits.push(((await ask({ kind: 'limit', milliseconds: 400 })) as { perSecond: number }).perSecond);
    await ask({ kind: 'reset' });
    const { calls, seconds } = await during(ROUND_MS, concurrency, call);
    const stats = (await ask({ kind: 'stats' })) as Extract<Answer, { kind: 'stats' }>;
    rates.push((calls * size) / seconds);
    costs.push((stats.cpuSeconds * 1e6) / (calls * size));
  }
  const ratios = rates.map((rate, round) => rate / limits[round]!);
  const ratio = median(ratios);
  report({
    name: `X.509-SVIDs in batches of ${size}`,
    value: median(rates),
    unit: 'SVID/s',
    against: `${Math.round(median(limits))}/s: import a public key, verify, sign`,
    ratio,
    ...(size === 500 && { target: 'at least 0.5', met: ratio >= 0.5 }),
  });
  report({ name: `processor time of an X.509-SVID in batches of ${size}`, value: median(costs), unit: 'us' });
}

/**
 * One batch after the other, each with the longest turn of the event loop meanwhile. The median is what a batch does; the
 * tail is also what else the machine does.
 */
async function measureHold(size: number, call: () => Promise<void>): Promise<void> {
  const longest: number[] = [];
  for (let round = 0; round < 60; round++) {
    await ask({ kind: 'probe', on: true });
    await call();
    longest.push(((await ask({ kind: 'probe', on: false })) as Extract<Answer, { kind: 'probe' }>).longest);
  }
  const value = median(longest);
  report({
    name: `longest hold of the event loop by a batch of ${size}, median of ${longest.length} batches`,
    value,
    unit: 'ms',
    against: `p90 ${longest.toSorted((left, right) => left - right)[Math.floor(longest.length * 0.9)]!.toFixed(1)} ms`,
    target: `at most ${MAX_HOLD}`,
    met: value <= MAX_HOLD,
  });
}

async function measureJwt(agent: GrpcClient, entryId: string): Promise<void> {
  const jwt = async () => void (await agent.unary(SVID.method.newJWTSVID, { entryId, audience: ['db'] }));
  const empty = async () => void (await agent.unary(Bundle.method.getBundle, { outputMask: {} }));
  await during(1_000, 32, jwt);
  await during(1_000, 32, empty);
  const rates: number[] = [];
  const empties: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const one = await during(ROUND_MS, 32, empty);
    const other = await during(ROUND_MS, 32, jwt);
    empties.push(one.calls / one.seconds);
    rates.push(other.calls / other.seconds);
  }
  const ratio = median(rates.map((rate, round) => rate / empties[round]!));
  report({
    name: 'JWT-SVIDs (NewJWTSVID)',
    value: median(rates),
    unit: 'SVID/s',
    against: `${Math.round(median(empties))}/s: a unary call that answers next to nothing`,
    ratio,
    target: 'at least 0.7',
    met: ratio >= 0.7,
  });
}

async function measureLatency(single: () => Promise<void>, large: () => Promise<void>): Promise<void> {
  const times: number[] = [];
  const timed = async () => {
    const started = performance.now();
    await single();
    times.push(performance.now() - started);
  };
  await Promise.all([during(4 * ROUND_MS, 1, large), during(4 * ROUND_MS, 2, timed)]);
  const sorted = times.toSorted((left, right) => left - right);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)]!;
  const against = 'while batches of 500 keep the server busy';
  report({ name: 'a single X.509-SVID under load, p50', value: at(0.5), unit: 'ms', against });
  report({ name: 'a single X.509-SVID under load, p99', value: at(0.99), unit: 'ms', against });
}

/** Makes calls for a while, so many at once. */
async function during(milliseconds: number, concurrency: number, call: () => Promise<void>) {
  const started = performance.now();
  let calls = 0;
  const caller = async () => {
    while (performance.now() - started < milliseconds) {
      await call();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  return { calls, seconds: (performance.now() - started) / 1_000 };
}

async function prepare() {
  const { port, socketPath } = (await ask({ kind: 'start', folder })) as Extract<Answer, { kind: 'started' }>;
  const local = new GrpcClient(`unix:${socketPath}`, credentials.createInsecure());
  const { x509Authorities } = await local.unary(Bundle.method.getBundle, {});
  const roots = x509Authorities.map(({ asn1 }) => asn1);
  const { value } = await local.unary(Agent.method.createJoinToken, { ttl: 60 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const call = clientOf(port, roots).bidiStream(Agent.method.attestAgent);
  const data = { type: 'join_token', payload: Buffer.from(value) };
  call.send({ step: { case: 'params', value: { data, params: { csr: createCsr(privateKey) } } } });
  call.close();
  for await (const { step } of call.messages) {
    if (step.case !== 'result') continue;
    const { certChain, id } = step.value.svid!;
    const { results } = await local.unary(Entry.method.batchCreateEntry, {
      entries: [
        {
          parentId: { trustDomain: id!.trustDomain, path: id!.path },
          spiffeId: { trustDomain: id!.trustDomain, path: '/ns/default/sa/web' },
          selectors: [{ type: 'unix', value: 'uid:1' }],
        },
      ],
    });
    const csrs = Array.from({ length: 500 }, () =>
      createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    );
    return {
      agent: clientOf(port, roots, { privateKey, chain: certChain }),
      entryId: results[0]!.entry!.id,
      csrs,
    };
  }
  throw new Error('the agent could not attest');
}

function startServer(): ChildProcess {
  const file = fileURLToPath(new URL('issue-server.ts', import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', file];
  return spawn('taskset', ['-c', String(serverCore), ...node], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

async function ask(command: Command): Promise<unknown> {
  const answered = once(server, 'message');
  server.send(command);
  return (await answered)[0] as unknown;
}
