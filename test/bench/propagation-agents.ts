// The agents of the propagation benchmark: one process, a connection with its own SVID and a stream for each of them. It
// notes when each entry, and each empty message, has arrived at how many of them.
import { Buffer } from 'node:buffer';
import { createPrivateKey } from 'node:crypto';
import { Sync } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { clientOf } from '../../identity-server/testing.ts';
import type { AgentsOrder, Arrivals } from './propagation-messages.ts';

let arrivals = newArrivals();

function newArrivals() {
  return { entries: new Map<string, { count: number; last: bigint }>(), empty: { count: 0, last: 0n } };
}

process.on('message', (order: AgentsOrder) => {
  if (order.kind === 'start') void start(order);
  if (order.kind !== 'report') return;
  const entries = [...arrivals.entries].map(([id, { count, last }]) => ({
    id,
    count,
    last: last.toString(),
  }));
  const { count, last } = arrivals.empty;
  arrivals = newArrivals();
  send({ kind: 'arrivals', entries, empty: { count, last: last.toString() } });
});
process.on('disconnect', () => process.exit(0));

async function start({ port, roots, agents, key }: Extract<AgentsOrder, { kind: 'start' }>): Promise<void> {
  const privateKey = createPrivateKey(key);
  const open = async (chain: readonly string[]) => {
    const identity = { privateKey, chain: chain.map((der) => Buffer.from(der, 'base64')) };
    const client = clientOf(port, [Buffer.from(roots[0]!, 'base64')], identity);
    const stream = client.serverStream(Sync.method.watch, {});
    while ((await stream.next()).value!.more);
    // A stream that broke shows in what did not arrive.
    void follow(stream).catch(() => {});
  };
  for (let at = 0; at < agents.length; at += 20) await Promise.all(agents.slice(at, at + 20).map(open));
  send({ kind: 'ready' });
}

async function follow(stream: AsyncIterable<{ entries: readonly { id: string }[] }>): Promise<void> {
  for await (const { entries } of stream) {
    const now = process.hrtime.bigint();
    if (entries.length === 0) {
      arrivals.empty.count++;
      arrivals.empty.last = now;
    }
    for (const { id } of entries) {
      const known = arrivals.entries.get(id);
      if (known === undefined) arrivals.entries.set(id, { count: 1, last: now });
      else {
        known.count++;
        known.last = now;
      }
    }
  }
}

function send(message: { kind: 'ready' } | Arrivals): void {
  process.send!(message);
}
