// `npm run bench:propagation`: how long a created entry takes from its commit to the last of the agents that it concerns,
// beside an empty message that is pushed to the same streams. A thousand agents with mutual TLS in a process of their
// own; entries come at 50 a second. One line of JSON a figure.
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { newEntry } from '../../identity-server/store/store-contract.ts';
import type { NewEntry } from '../../identity-server/store/store.ts';
import { delay } from '../../sdk/backoff.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AgentsOrder, Arrivals } from './propagation-messages.ts';
import { agentId, startBenchServer } from './propagation-server.ts';
import { report } from './report.ts';

const AGENTS = 1_000;
const GROUPS = [1, 100, 1_000] as const;
const INTERVAL = 20;
const ENTRIES = Number(process.argv[2] ?? 1_000);
const EMPTY = 100;

const id = (path: string) => `spiffe://example.org${path}` as SpiffeId;

const server = await startBenchServer(AGENTS, (index) =>
  GROUPS.filter((size) => index < size).map((size) => `group-${size}`),
);
for (const size of GROUPS) {
  await server.store.createEntries([
    benchEntry(`alias-${size}`, id('/spire/server'), `/group/${size}`, {
      type: 'bench',
      value: `group-${size}`,
    }),
  ]);
}
const agents = fork(fileURLToPath(new URL('propagation-agents.ts', import.meta.url)), { stdio: 'inherit' });
const order = (message: AgentsOrder) => void agents.send(message);
const { port, roots, chains, key } = server;
order({ kind: 'start', port, roots, agents: chains, key });
await next(agents, 'ready');

for (const size of GROUPS) {
  const empty = await pushEmpty(size);
  await delay(500);
  const created = await createEntries(size);
  print(size, 'p50', created, empty, size === 1_000 ? undefined : 10);
  print(size, 'p99', created, empty, size === 1_000 ? undefined : 100);
}
agents.disconnect();
await server.close();

/** Milliseconds to the last agent, of each created entry. */
async function createEntries(size: number): Promise<number[]> {
  const committed = new Map<string, bigint>();
  await atInterval(ENTRIES, async (index) => {
    // For one: another agent each time.
    const parent = size === 1 ? agentId(index % AGENTS) : id(`/group/${size}`);
    const entry = benchEntry(`entry-${size}-${index}`, parent, `/service/${size}/${index}`);
    await server.store.createEntries([entry]);
    committed.set(entry.id, server.committedAt);
  });
  await delay(2_000);
  const { entries } = await reportOf();
  const complete = entries.filter(({ id, count }) => committed.has(id) && count === size);
  if (complete.length !== ENTRIES)
    throw new Error(`${complete.length} of ${ENTRIES} entries arrived at all ${size}`);
  return complete.map(({ id, last }) => milliseconds(committed.get(id)!, BigInt(last)));
}

/** Milliseconds to the last agent, of each empty message. */
async function pushEmpty(size: number): Promise<number[]> {
  const ids = Array.from({ length: size }, (_, index) => agentId(index));
  const times: number[] = [];
  await reportOf();
  for (let index = 0; index < EMPTY; index++) {
    const began = process.hrtime.bigint();
    server.hub.nudge(ids);
    await delay(size === 1_000 ? 150 : 40);
    const { empty } = await reportOf();
    if (empty.count !== size) throw new Error(`${empty.count} of ${size} empty messages arrived`);
    times.push(milliseconds(began, BigInt(empty.last)));
  }
  return times;
}

async function reportOf(): Promise<Arrivals> {
  order({ kind: 'report' });
  return next(agents, 'arrivals') as Promise<Arrivals>;
}

// At their times, whatever the one before took; none is left out.
async function atInterval(count: number, run: (index: number) => Promise<void>): Promise<void> {
  const began = performance.now();
  for (let index = 0; index < count; index++) {
    await delay(Math.max(0, began + index * INTERVAL - performance.now()));
    await run(index);
  }
}

function print(size: number, which: 'p50' | 'p99', times: number[], empty: number[], most?: number): void {
  const value = percentile(times, which === 'p50' ? 0.5 : 0.99);
  const limit = percentile(empty, which === 'p50' ? 0.5 : 0.99);
  report({
    name: `created entry to ${size} of ${AGENTS} agents, ${which}`,
    value,
    unit: 'ms',
    against: `empty message to the same streams, ${which}: ${limit.toPrecision(3)} ms`,
    ratio: value / limit,
    target: most === undefined ? undefined : `at most ${most} ms`,
    met: most === undefined ? undefined : value <= most,
  });
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}

function milliseconds(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6;
}

function benchEntry(
  name: string,
  parentId: SpiffeId,
  path: string,
  selector = { type: 'unix', value: 'uid:1000' },
): NewEntry {
  return newEntry({
    id: name,
    parentId,
    spiffeId: id(path),
    selectors: [selector],
    dnsNames: [],
    federatesWith: [],
    admin: false,
    hint: '',
    expiresAt: 0,
  });
}

function next(child: ChildProcess, kind: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the agents ended (${code})`)));
    const listen = (message: { kind: string }) => {
      if (message.kind !== kind) return;
      child.off('message', listen).removeAllListeners('exit');
      resolve(message);
    };
    child.on('message', listen);
  });
}
