import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { status, type ServiceError } from '@grpc/grpc-js';
import { Sync, type Position, type WatchResponse } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { startTestServer, temporaryFolder, TRUST_DOMAIN, type TestServer } from '../testing.ts';
import { digestOf } from './subscriber.ts';

const idOf = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });

/** An agent's side of a stream: what it would have. */
function watch(client: GrpcClient, position?: Position, entries = new Map<string, string>()) {
  const stopping = new AbortController();
  const stream = client.serverStream(Sync.method.watch, { position }, { signal: stopping.signal });
  const state = {
    entries,
    position,
    denied: [] as string[],
    bundles: new Set<string>(),
    messages: [] as WatchResponse[],
    snapshots: 0,
    digest: undefined as Uint8Array | undefined,
  };
  const take = (message: WatchResponse) => {
    state.messages.push(message);
    if (message.snapshot) {
      state.snapshots++;
      state.entries.clear();
    }
    for (const entry of message.entries) state.entries.set(entry.id, entry.spiffeId!.path);
    for (const id of message.removedEntryIds) state.entries.delete(id);
    for (const bundle of message.bundles) state.bundles.add(bundle.trustDomain);
    for (const name of message.removedTrustDomains) state.bundles.delete(name);
    for (const denial of message.denials) state.denied.push(`${denial.spiffeId} ${denial.serialNumber}`);
    if (message.position !== undefined) state.position = message.position;
    if (message.entriesDigest.length > 0) state.digest = message.entriesDigest;
  };
  return {
    state,
    /** Takes messages over until something holds. */
    async until(holds: () => boolean): Promise<void> {
      while (!holds()) {
        const { value, done } = await stream.next();
        if (done === true) throw new Error('the stream ended');
        take(value);
      }
    },
    async updated(): Promise<void> {
      do {
        const { value, done } = await stream.next();
        if (done === true) throw new Error('the stream ended');
        take(value);
      } while (state.messages.at(-1)!.more);
    },
    paths: () => [...state.entries.values()].toSorted(),
    /** The error that the stream ends with. */
    async end(): Promise<string> {
      try {
        for (;;) {
          const { value, done } = await stream.next();
          if (done === true) return 'OK';
          take(value);
        }
      } catch (error) {
        const { code, details, metadata } = error as ServiceError;
        const reason = metadata?.get('grpc-status-details-bin').length;
        return `${status[code]}: ${details} (${reason})`;
      }
    },
    stop: () => stopping.abort(),
  };
}

async function addEntries(server: TestServer, parent: string, paths: readonly string[], over: object = {}) {
  const { results } = await server.local.unary(Entry.method.batchCreateEntry, {
    entries: paths.map((path) => ({
      parentId: idOf(parent),
      spiffeId: idOf(path),
      selectors: [{ type: 'unix', value: 'uid:1' }],
      ...over,
    })),
  });
  return results.map(({ entry, status }) => {
    if (status!.code !== 0) throw new Error(status!.message);
    return entry!.id;
  });
}

const remove = (server: TestServer, ids: readonly string[]) =>
  server.local.unary(Entry.method.batchDeleteEntry, { ids: [...ids] });

describe('Watch', () => {
  test('begins with a snapshot and tells this agent each change of its own, and of nobody else', async () => {
    await using server = await startTestServer();
    const [agent, other] = [await server.attest(), await server.attest()];
    const [first] = await addEntries(server, agent.path, ['/first']);
    const { state, ...stream } = watch(await server.connect(agent));
    await stream.updated();
    expect(stream.paths()).toEqual(['/first']);
    expect(state.messages[0]!.snapshot).toBe(true);
    expect([...state.bundles]).toEqual([TRUST_DOMAIN]);
    await addEntries(server, other.path, ['/foreign']);
    await addEntries(server, agent.path, ['/second']);
    await stream.updated();
    expect(stream.paths()).toEqual(['/first', '/second']);
    expect(state.messages.at(-1)!.snapshot).toBe(false);
    expect(state.messages.at(-1)!.entries).toHaveLength(1);
    await remove(server, [first!]);
    await stream.updated();
    expect(stream.paths()).toEqual(['/second']);
    expect(state.messages.at(-1)!.removedEntryIds).toEqual([first]);
    expect(state.snapshots).toBe(1);
    stream.stop();
  });

  test('follows chains and aliases: what comes into view and what goes out of it', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const { state, ...stream } = watch(await server.connect(agent));
    await stream.updated();
    await addEntries(server, '/middle', ['/leaf']);
    const [middle] = await addEntries(server, agent.path, ['/middle']);
    await stream.until(() => state.entries.size === 2);
    expect(stream.paths()).toEqual(['/leaf', '/middle']);
    await remove(server, [middle!]);
    await stream.until(() => state.entries.size === 0);
    stream.stop();
  });

  test('tells bundles: the own one when it changes, and those that entries federate with', async () => {
    await using server = await startTestServer();
    const foreign = await testAuthority('foreign.org');
    const set = () =>
      server.local.unary(Bundle.method.batchSetFederatedBundle, {
        bundle: [{ trustDomain: 'foreign.org', x509Authorities: [{ asn1: foreign.certificate.der }] }],
      });
    await set();
    const agent = await server.attest();
    const { state, ...stream } = watch(await server.connect(agent));
    await stream.updated();
    expect([...state.bundles]).toEqual([TRUST_DOMAIN]);
    await addEntries(server, agent.path, ['/web'], { federatesWith: ['foreign.org'] });
    await stream.until(() => state.bundles.has('foreign.org'));
    await server.local.unary(Bundle.method.appendBundle, {
      x509Authorities: [{ asn1: (await testAuthority()).certificate.der }],
    });
    await stream.updated();
    expect(state.messages.at(-1)!.bundles.map((bundle) => bundle.x509Authorities.length)).toEqual([2]);
    await server.local.unary(Bundle.method.batchDeleteFederatedBundle, {
      trustDomains: ['foreign.org'],
      mode: 2,
    });
    await stream.until(() => !state.bundles.has('foreign.org'));
    stream.stop();
  });

  test('ends with the reason when the agent is banned, evicted, or its SVID expires; others learn who is denied', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now });
    const [banned, evicted, witness] = [await server.attest(), await server.attest(), await server.attest()];
    const streams = [];
    for (const agent of [banned, evicted, witness]) {
      const stream = watch(await server.connect(agent));
      await stream.updated();
      streams.push(stream);
    }
    await server.local.unary(Agent.method.banAgent, { id: idOf(banned.path) });
    const denied = 'PERMISSION_DENIED: authorization denied for method /sigil.sync.v1.Sync/Watch (1)';
    expect(await streams[0]!.end()).toBe(denied);
    await server.local.unary(Agent.method.deleteAgent, { id: idOf(evicted.path) });
    expect(await streams[1]!.end()).toBe(denied);
    const { state } = streams[2]!;
    await streams[2]!.until(() => state.denied.length >= 3);
    const uri = (path: string) => `spiffe://${TRUST_DOMAIN}${path}`;
    expect(state.denied.filter((text) => text.startsWith(`${uri(banned.path)} `))).toHaveLength(2);
    expect(state.denied).toContain(`${uri(banned.path)} `);
    expect(state.denied.at(-1)).toMatch(new RegExp(`^${uri(evicted.path)} \\d+$`));
    now += 2 * 3_600_000;
    expect(await streams[2]!.end()).toBe(denied);
  });

  test('goes on from a position; an unknown one begins anew', async () => {
    await using first = await startTestServer();
    const agent = await first.attest();
    const [gone] = await addEntries(first, agent.path, ['/a', '/b']);
    const before = watch(await first.connect(agent));
    await before.updated();
    before.stop();
    await remove(first, [gone!]);
    await addEntries(first, agent.path, ['/c']);
    const { position } = before.state;
    const { state, ...stream } = watch(await first.connect(agent), position, new Map(before.state.entries));
    await stream.updated();
    expect(state.snapshots).toBe(0);
    expect(stream.paths()).toEqual(['/b', '/c']);
    expect(state.messages.flatMap(({ entries }) => entries)).toHaveLength(1);
    const { entries } = await first.local.unary(Entry.method.listEntries, {});
    const own = entries.filter(({ id }) => state.entries.has(id));
    expect([...state.digest!]).toEqual([
      ...digestOf(
        own.map(({ id, revisionNumber, createdAt }) => ({
          id,
          revisionNumber: Number(revisionNumber),
          createdAt: Number(createdAt),
        })) as never,
      ),
    ]);
    for (const unknown of [
      { ...position!, epoch: 'another' },
      { ...position!, revision: 1_000_000n },
      { ...position!, revision: 2n ** 64n - 1n },
    ]) {
      const anew = watch(await first.connect(agent), unknown);
      await anew.updated();
      expect(anew.state.snapshots).toBe(1);
      expect(anew.paths()).toEqual(['/b', '/c']);
      anew.stop();
    }
    stream.stop();
  });

  test('an entry that expires is taken back at its time', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now });
    const agent = await server.attest();
    await addEntries(server, agent.path, ['/short'], { expiresAt: BigInt(Math.floor(now / 1_000) + 60) });
    const { state, ...stream } = watch(await server.connect(agent));
    await stream.updated();
    expect(stream.paths()).toEqual(['/short']);
    now += 61_000;
    await stream.until(() => state.entries.size === 0);
    stream.stop();
  });

  test('who does not read holds a bounded number of changes, and is told everything anew when he reads on', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const { state, ...stream } = watch(await server.connect(agent));
    await stream.updated();
    const dnsNames = Array.from({ length: 100 }, (_, index) => `host-${index}.${'x'.repeat(60)}.example.org`);
    const ids: string[] = [];
    for (let batch = 0; batch < 16; batch++) {
      const paths = Array.from({ length: 100 }, (_, index) => `/e${batch}-${index}`);
      ids.push(...(await addEntries(server, agent.path, paths, { dnsNames })));
    }
    await remove(server, ids.slice(0, 500));
    await stream.until(() => state.snapshots === 2 && !state.messages.at(-1)!.more);
    expect([...state.entries.keys()].toSorted()).toEqual(ids.slice(500).toSorted());
    // What he had not read was not kept for him: he got less than was written.
    const told = state.messages.reduce((sum, { entries }) => sum + entries.length, 0);
    expect(told).toBeLessThan(ids.length - 500 + 600);
    stream.stop();
  });

  test('goes on from a position in the log, on a server that was started anew', async () => {
    const folder = temporaryFolder();
    try {
      let before: ReturnType<typeof watch>;
      let agent: Awaited<ReturnType<TestServer['attest']>>;
      {
        await using server = await startTestServer({ folder });
        agent = await server.attest();
        await addEntries(server, agent.path, ['/a', '/b']);
        before = watch(await server.connect(agent));
        await before.updated();
        before.stop();
        await addEntries(server, agent.path, ['/c']);
      }
      await using server = await startTestServer({ folder });
      const { position, entries } = before.state;
      const { state, ...stream } = watch(await server.connect(agent), position, entries);
      await stream.updated();
      expect([state.snapshots, stream.paths()]).toEqual([0, ['/a', '/b', '/c']]);
      expect(state.messages.flatMap(({ entries: told }) => told)).toHaveLength(1);
      stream.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('of more than two streams of an agent, the oldest ends', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const streams = [];
    for (let index = 0; index < 3; index++) {
      const stream = watch(await server.connect(agent));
      await stream.updated();
      streams.push(stream);
    }
    expect(await streams[0]!.end()).toMatch(/^ABORTED/);
    await addEntries(server, agent.path, ['/a']);
    for (const stream of streams.slice(1)) {
      await stream.updated();
      expect(stream.paths()).toEqual(['/a']);
      stream.stop();
    }
  });

  test('no message is larger than a plain client takes', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const dnsNames = Array.from({ length: 300 }, (_, index) => `host-${index}.${'x'.repeat(60)}.example.org`);
    for (let batch = 0; batch < 4; batch++) {
      const paths = Array.from({ length: 100 }, (_, index) => `/e${batch}-${index}`);
      await addEntries(server, agent.path, paths, { dnsNames });
    }
    const { state, ...stream } = watch(await server.connect(agent));
    await stream.updated();
    expect(state.entries.size).toBe(400);
    expect(state.messages.length).toBeGreaterThan(10);
    expect(state.snapshots).toBe(1);
    stream.stop();
  });
});
