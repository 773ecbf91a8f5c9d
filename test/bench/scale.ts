// How the server grows with its entries: memory, an agent's entries, a cold start and one change, at three sizes.
// SIGIL_BENCH_SIZES=1000,10000 takes others. An agent has a hundred entries at every size.
import { spawn } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openRegistry } from '../../identity-server/entry/registry.ts';
import { openSqliteStore } from '../../identity-server/store/sqlite/sqlite-store.ts';
import { parseTrustDomain, spiffeIdOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { temporaryFolder } from '../support/databases.ts';
import { benchEntry, benchNode, ENTRIES_PER_AGENT } from './entries.ts';
import { median, report } from './report.ts';

const trustDomain = parseTrustDomain('example.org');
const serverId = spiffeIdOf(trustDomain, '/spire/server');
const CHANGES = 300;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Measured {
  readonly size: number;
  readonly bytesPerEntry: number;
  readonly agentMicroseconds: number;
  readonly coldStart: number;
  readonly changeMicroseconds: number;
  readonly cpuMicroseconds: number;
  readonly commitMicroseconds: number;
  /** A plain write of one page with fdatasync, in between. */
  readonly syncMicroseconds: number;
}

async function measure(size: number): Promise<Measured> {
  const folder = temporaryFolder();
  const open = () => openSqliteStore({ folder, trustDomain });
  try {
    const agents = Array.from({ length: size / ENTRIES_PER_AGENT }, (_, index) => benchNode(index));
    {
      await using store = await open();
      for (const agent of agents) await store.putNode(agent);
      for (let at = 0; at < size; at += 5_000) {
        const length = Math.min(5_000, size - at);
        await store.createEntries(Array.from({ length }, (_, index) => benchEntry(at + index)));
      }
    }
    const coldStart = await startProgram(folder);
    await using store = await open();
    collect();
    const before = process.memoryUsage().heapUsed;
    using registry = await openRegistry({ store, serverId, pollInterval: 0 });
    collect();
    const bytesPerEntry = (process.memoryUsage().heapUsed - before) / size;

    const ids = agents.map(({ id }) => id);
    const agentMicroseconds = median(
      ids.slice(0, 500).map((id) => microseconds(() => registry.authorizedEntries(id))),
    );
    for (const id of ids) registry.authorizedEntries(id);
    const [changes, commits, syncs]: [number[], number[], number[]] = [[], [], []];
    const file = openSync(join(folder, 'raw'), 'w');
    let cpu = 0;
    for (let turn = 0; turn < CHANGES; turn++) {
      const index = (turn * 7_919) % size;
      const agent = ids[Math.floor(index / ENTRIES_PER_AGENT)] as SpiffeId;
      const used = process.cpuUsage();
      const started = performance.now();
      await store.updateEntries([
        { id: `entry-${index}`, change: (entry) => ({ ...entry, hint: `turn ${turn}` }) },
      ]);
      const committed = performance.now();
      await registry.catchUp();
      if (registry.authorizedEntries(agent).get(`entry-${index}`)?.hint !== `turn ${turn}`) {
        throw new Error('the change did not arrive');
      }
      changes.push((performance.now() - committed) * 1_000);
      commits.push((committed - started) * 1_000);
      const { user, system } = process.cpuUsage(used);
      cpu += user + system;
      syncs.push(
        microseconds(() => {
          writeSync(file, new Uint8Array(4_096), 0, 4_096, 0);
          fdatasyncSync(file);
        }),
      );
    }
    closeSync(file);
    return {
      size,
      bytesPerEntry,
      agentMicroseconds,
      coldStart,
      changeMicroseconds: median(changes),
      cpuMicroseconds: cpu / CHANGES,
      commitMicroseconds: median(commits),
      syncMicroseconds: median(syncs),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function microseconds(body: () => unknown): number {
  const started = performance.now();
  body();
  return (performance.now() - started) * 1_000;
}

// Milliseconds from the start of the program to its line `ready`.
function startProgram(folder: string): Promise<number> {
  const config = join(folder, 'server.yaml');
  writeFileSync(config, `trust_domain: ${trustDomain}\ndata_dir: ${folder}\nlisten: "127.0.0.1:0"\n`);
  const root = join(import.meta.dirname, '../..');
  const args = ['--disable-warning=ExperimentalWarning', 'identity-server/main.ts', '--config', config];
  const started = performance.now();
  const child = spawn(join(root, 'node_modules/.bin/node'), args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    let output = '';
    let took = 0;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (took > 0 || !output.includes('"ready"')) return;
      took = performance.now() - started;
      child.kill('SIGTERM');
    });
    child.once('exit', () => (took > 0 ? resolve(took) : reject(new Error(`it did not start: ${output}`))));
  });
}

const sizes = (process.env.SIGIL_BENCH_SIZES ?? '1000,10000,100000').split(',').map(Number);
// Once for nothing: the first run compiles.
await measure(sizes[0]!);
const results: Measured[] = [];
for (const size of sizes) results.push(await measure(size));
const first = results[0]!;
const against = `${first.size} entries`;
for (const found of results) {
  const { size } = found;
  report({
    name: `scale.memory.${size}`,
    value: found.bytesPerEntry,
    unit: 'bytes of heap an entry',
    against,
    ratio: found.bytesPerEntry / first.bytesPerEntry,
    target: 'no more than 1.5 times: tables grow by doubling',
    met: found.bytesPerEntry <= first.bytesPerEntry * 1.5,
  });
  report({
    name: `scale.agent.${size}`,
    value: found.agentMicroseconds,
    unit: `microseconds for an agent's ${ENTRIES_PER_AGENT} entries, found anew`,
    against,
    ratio: found.agentMicroseconds / first.agentMicroseconds,
    target: 'no more than 2 times',
    met: found.agentMicroseconds <= first.agentMicroseconds * 2,
  });
  report({
    name: `scale.cold-start.${size}`,
    value: found.coldStart,
    unit: 'milliseconds from the start of the program until it serves',
    against,
    ratio: found.coldStart / first.coldStart,
    target: 'within 5000 ms, and growing no faster than the entries',
    met: found.coldStart <= 5_000 && found.coldStart / first.coldStart <= size / first.size,
  });
  report({
    name: `scale.change.${size}`,
    value: found.changeMicroseconds,
    unit: "microseconds from a change's commit until its agent's entries have it",
    against,
    ratio: found.changeMicroseconds / first.changeMicroseconds,
    target: 'no more than 2 times',
    met: found.changeMicroseconds <= first.changeMicroseconds * 2,
  });
  report({
    name: `scale.change-cpu.${size}`,
    value: found.cpuMicroseconds,
    unit: 'microseconds of CPU for a change: its commit, and its way to the agent',
    against,
    ratio: found.cpuMicroseconds / first.cpuMicroseconds,
    target: 'no more than 2 times',
    met: found.cpuMicroseconds <= first.cpuMicroseconds * 2,
  });
  // What the disk does is not ours: no target.
  report({
    name: `scale.commit.${size}`,
    value: found.commitMicroseconds,
    unit: 'microseconds for the durable commit of a change (SQLite, synchronous=FULL)',
    against: 'one page written with fdatasync, in between',
    ratio: found.commitMicroseconds / found.syncMicroseconds,
  });
}
