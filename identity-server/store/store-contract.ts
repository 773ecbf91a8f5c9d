// What every store must do, run against each implementation with a real database.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseTrustDomain, type SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AuthorityRecord, Bundle, Entry, NewEntry, NewNode, Position, Store } from './store.ts';

/** One database for one test. */
export interface StoreUnderTest {
  /** Whether several servers can have it open. */
  readonly shared: boolean;
  /** Opens the database; what was committed before is there again. */
  open(): Promise<Store>;
  remove(): Promise<void>;
}

export function newEntry(over: Partial<NewEntry> = {}): NewEntry {
  return {
    id: 'entry-1',
    spiffeId: 'spiffe://example.org/web' as SpiffeId,
    parentId: 'spiffe://example.org/node' as SpiffeId,
    selectors: [{ type: 'unix', value: 'uid:1000' }],
    x509SvidTtl: 60,
    jwtSvidTtl: 30,
    federatesWith: ['other.org'],
    admin: true,
    downstream: false,
    expiresAt: 4_000_000_000,
    dnsNames: ['web.example.org'],
    storeSvid: false,
    hint: 'a hint',
    disableX509SvidPrefetch: true,
    jwtSvidIncludeJti: false,
    createdAt: 1_700_000_000,
    ...over,
  };
}

export function newNode(over: Partial<NewNode> = {}): NewNode {
  return {
    id: 'spiffe://example.org/spire/agent/join_token/0' as SpiffeId,
    attestationType: 'join_token',
    serial: '340282366920938463463374607431768211455',
    notAfter: 1_800_000_000,
    newSerial: '',
    newNotAfter: 0,
    selectors: [{ type: 'a', value: 'b:c' }],
    canReattest: false,
    agentVersion: '',
    ...over,
  };
}

const own = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const bytesOf = (text: string) => new TextEncoder().encode(text);

const authority = (id: string, over: Partial<AuthorityRecord> = {}): AuthorityRecord => ({
  id,
  kind: 'x509',
  server: 'server-1',
  slot: 'A',
  status: 'active',
  issuedAt: 1_700_000_000_000,
  notAfter: 1_700_086_400_000,
  material: bytesOf(id),
  ...over,
});

const bundle = (over: Partial<Bundle> = {}): Bundle => ({
  trustDomain: own,
  x509Authorities: [{ certificate: bytesOf('root'), tainted: true }],
  jwtAuthorities: [{ id: 'k', publicKey: bytesOf('jwt'), expiresAt: 4_000_000_000, tainted: false }],
  witAuthorities: [],
  refreshHint: 300,
  sequence: 2n ** 63n,
  ...over,
});

// Not by `rejects`: under Bun it lets no other thread answer while it waits.
const messageOf = (failing: Promise<unknown>) =>
  failing.then(
    () => 'nothing',
    ({ message }: Error) => message,
  );

export function testStore(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`store on ${name}`, () => {
    let database: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      database = await create();
      store = await database.open();
      beginning = (await store.snapshot()).position;
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await database.remove();
    });
    let beginning: Position;
    const changes = (position = beginning) => store.changesAfter(position, 1_000);

    test('keeps every field of entries and nodes over a restart', async () => {
      const odd = "NUL \0, quote ', \u{1f600}, \u2028";
      const [outcome] = await store.createEntries([newEntry({ hint: odd })]);
      const node = await store.putNode(newNode());
      const before = await store.snapshot();
      await store[Symbol.asyncDispose]();
      store = await database.open();
      expect(await store.snapshot()).toEqual(before);
      expect(before.entries).toEqual([{ ...newEntry({ hint: odd }), revisionNumber: 0, sequence: 1 }]);
      expect(outcome).toEqual({ kind: 'written', entry: before.entries[0] });
      expect(before.nodes).toEqual([node]);
    });

    test('never has two similar entries, whatever their IDs and the order of selectors', async () => {
      const both = [
        { type: 'a', value: '1' },
        { type: 'b', value: '2' },
      ];
      const [first] = await store.createEntries([newEntry({ selectors: both })]);
      const similar = newEntry({ id: 'entry-2', selectors: both.toReversed(), hint: 'other' });
      const superset = newEntry({ id: 'entry-3', selectors: [...both, { type: 'c', value: '3' }] });
      const outcomes = await store.createEntries([similar, superset, newEntry({ selectors: [both[0]!] })]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(['similar', 'written', 'id-taken']);
      expect(outcomes[0]).toMatchObject({
        entry: { id: 'entry-1', hint: first!.kind === 'written' ? 'a hint' : '' },
      });
      const [update] = await store.updateEntries([
        { id: 'entry-3', change: (entry) => ({ ...entry, selectors: both }) },
      ]);
      expect(update!.kind).toBe('similar');
    });

    test('an update counts, and cannot change identity or age', async () => {
      await store.createEntries([newEntry()]);
      const [updated, missing] = await store.updateEntries([
        {
          id: 'entry-1',
          change: (entry) => ({ ...entry, id: 'x', createdAt: 1, sequence: 99, hint: 'new' }),
        },
        { id: 'nobody', change: (entry) => entry },
      ]);
      expect(updated).toEqual({
        kind: 'written',
        entry: { ...newEntry({ hint: 'new' }), revisionNumber: 1, sequence: 1 },
      });
      expect(missing).toEqual({ kind: 'missing' });
      expect(await store.deleteEntries(['nobody', 'entry-1'])).toEqual([false, true]);
      expect((await store.snapshot()).entries).toEqual([]);
    });

    test('changes a node as told, and deletes it with its entries', async () => {
      const node = await store.putNode(newNode());
      expect(await store.updateNode(node.id, () => undefined)).toEqual(node);
      expect(await store.updateNode(node.id, (found) => ({ ...found, serial: '' }))).toMatchObject({
        serial: '',
      });
      expect(await store.updateNode('spiffe://example.org/x' as SpiffeId, (found) => found)).toBeUndefined();
      const refusing = store.putNode(newNode({ agentVersion: '1' }), (before) => {
        throw new Error(`no: ${before?.serial}`);
      });
      expect(await messageOf(refusing)).toMatch(/^no: /);
      const again = await store.putNode(newNode({ agentVersion: '2' }));
      expect(again).toMatchObject({ sequence: node.sequence, agentVersion: '2' });
      await store.createEntries([
        newEntry(),
        newEntry({ id: 'kept', hint: '', dnsNames: [], selectors: [] }),
      ]);
      expect(await store.deleteNode(node.id, ['entry-1'])).toBe(true);
      expect(await store.deleteNode(node.id, ['kept'])).toBe(false);
      const { nodes, entries } = await store.snapshot();
      expect([nodes.length, entries.map(({ id }) => id)]).toEqual([0, ['kept']]);
    });

    test('gives a join token to one taker only', async () => {
      const token = { digest: 'ab', expiresAt: 100 };
      expect(await store.createJoinToken(token, newEntry())).toBe(true);
      expect(await store.createJoinToken(token, newEntry({ id: 'other', selectors: [] }))).toBe(false);
      expect((await store.snapshot()).entries).toHaveLength(1);
      expect(await store.hasJoinToken('ab')).toBe(true);
      const taken = await Promise.all([1, 2, 3].map(() => store.takeJoinToken('ab')));
      expect(taken.filter((found) => found !== undefined)).toEqual([token]);
      expect(await store.hasJoinToken('ab')).toBe(false);
      await store.createJoinToken(token);
      await store.createJoinToken({ digest: 'cd', expiresAt: 101 });
      expect(await store.deleteJoinTokensExpiredBefore(101)).toBe(1);
      expect(await store.hasJoinToken('cd')).toBe(true);
    });

    test('keeps the journal of all servers and the own bundle together', async () => {
      expect(await store.authorities()).toEqual({ records: [], bundle: undefined });
      const first = { records: [authority('a')], bundle: bundle() };
      expect(await store.updateAuthorities(() => first)).toEqual(first);
      const late = authority('b', { kind: 'jwt', server: 'server-2', issuedAt: 1_700_000_000_001 });
      const both = await store.updateAuthorities(({ records, bundle }) => ({
        records: [late, ...records.map((record) => ({ ...record, status: 'old' as const }))],
        bundle: { ...bundle!, sequence: bundle!.sequence + 1n },
      }));
      expect(both.records.map(({ id, status }) => `${id} ${status}`)).toEqual(['a old', 'b active']);
      expect(both.bundle!.sequence).toBe(2n ** 63n + 1n);
      expect(await store.updateAuthorities(() => undefined)).toEqual(both);
      await store.updateAuthorities(({ bundle }) => ({ records: [late], bundle }));
      expect(await store.authorities()).toEqual({ records: [late], bundle: both.bundle });
      const log = (await changes())!.changes.map(({ kind, id }) => `${kind} ${id}`);
      expect(log.toSorted()).toEqual([
        'authority jwt',
        'authority x509',
        'authority x509',
        'authority x509',
        'bundle example.org',
        'bundle example.org',
      ]);
    });

    test('keeps bundles, and lets none go that an entry needs unless told', async () => {
      const foreign = bundle({ trustDomain: other, x509Authorities: [] });
      expect(await store.updateBundle(other, () => undefined)).toBeUndefined();
      expect(await store.updateBundle(other, () => foreign)).toEqual(foreign);
      expect((await store.snapshot()).bundles).toEqual([foreign]);
      await store.createEntries([
        newEntry(),
        newEntry({ id: 'kept', federatesWith: ['xother.org'], hint: '', selectors: [] }),
      ]);
      expect(await store.deleteBundle(own, 'delete')).toBe('missing');
      expect(await store.deleteBundle(other, 'restrict')).toBe('referenced');
      expect(await store.deleteBundle(other, 'dissociate')).toBe('deleted');
      expect((await store.snapshot()).entries.map(({ federatesWith }) => federatesWith)).toEqual([
        [],
        ['xother.org'],
      ]);
      await store.updateBundle(other, () => foreign);
      await store.updateEntries([
        { id: 'entry-1', change: (entry) => ({ ...entry, federatesWith: [other] }) },
      ]);
      expect(await store.deleteBundle(other, 'delete')).toBe('deleted');
      expect((await store.snapshot()).entries.map(({ id }) => id)).toEqual(['kept']);
      const last = (await changes())!.changes.at(-1)!;
      expect(last).toMatchObject({ kind: 'bundle', id: other, value: undefined });
    });

    test('keeps relationships, and a bundle that comes with one', async () => {
      const relationship = {
        trustDomain: other,
        bundleEndpointUrl: 'https://other.org/bundle',
        endpointSpiffeId: 'spiffe://other.org/server' as SpiffeId,
      };
      const foreign = bundle({ trustDomain: other });
      await store.updateRelationship(other, () => ({ relationship, bundle: foreign }));
      const web = { ...relationship, endpointSpiffeId: undefined };
      const after = await store.updateRelationship(other, (before, bundle) => {
        expect([before, bundle]).toEqual([relationship, foreign]);
        return { relationship: web };
      });
      expect(after).toEqual(web);
      expect((await store.snapshot()).relationships).toEqual([web]);
      expect(await store.deleteRelationship(other)).toBe(true);
      expect(await store.deleteRelationship(other)).toBe(false);
      const kinds = (await changes())!.changes.map(({ kind }) => kind);
      expect(kinds).toEqual(['relationship', 'bundle', 'relationship', 'relationship']);
    });

    test('logs every change, in order and without gaps', async () => {
      await store.createEntries([newEntry(), newEntry({ id: 'entry-2', selectors: [] })]);
      await store.putNode(newNode());
      await store.updateEntries([{ id: 'entry-1', change: (entry) => entry }]);
      await store.deleteEntries(['entry-2']);
      await store.updateAuthorities(({ bundle }) => ({ records: [authority('a')], bundle }));
      const { position } = await store.snapshot();
      const log = (await changes())!;
      expect(log.position).toEqual(position);
      expect(log.changes.map(({ revision, kind, id }) => `${revision} ${kind} ${id.slice(-7)}`)).toEqual([
        '1 entry entry-1',
        '2 entry entry-2',
        '3 node token/0',
        '4 entry entry-1',
        '5 entry entry-2',
        '6 authority x509',
      ]);
      expect(log.changes[1]!.value).toBeUndefined();
      expect(log.changes[3]!.value).toMatchObject({ revisionNumber: 1 });
      expect((await changes(position))!.changes).toEqual([]);
    });

    test('commit order is revision order: who follows the log while many write misses nothing', async () => {
      await using more = new AsyncDisposableStack();
      const writers = [store];
      while (database.shared && writers.length < 4) writers.push(more.use(await database.open()));
      let writing = true;
      const follow = async () => {
        const view = new Map<string, Entry>();
        const seen: number[] = [];
        let position = beginning;
        for (let last = false; ;) {
          const found = (await writers.at(-1)!.changesAfter(position, 7))!;
          for (const { revision, kind, id, value } of found.changes) {
            seen.push(revision);
            if (kind !== 'entry') continue;
            if (value === undefined) view.delete(id);
            else view.set(id, value);
          }
          position = found.position;
          if (found.changes.length > 0) continue;
          if (last) return { view, seen, position };
          last = !writing;
        }
      };
      const following = follow();
      const work = Array.from({ length: 8 }, async (_, task) => {
        for (let turn = 0; turn < 12; turn++) {
          const writer = writers[(task + turn) % writers.length]!;
          const entry = (name: string) => {
            const id = `${name}-${task}-${turn}`;
            return newEntry({ id, hint: '', dnsNames: [], selectors: [{ type: 'n', value: id }] });
          };
          await writer.createEntries([entry('kept'), entry('gone')]);
          await writer.deleteEntries([`gone-${task}-${turn}`]);
        }
      });
      await Promise.all(work);
      writing = false;
      const { view, seen, position } = await following;
      const { entries, position: end } = await store.snapshot();
      expect(seen).toEqual(Array.from({ length: 8 * 12 * 3 }, (_, index) => index + 1));
      expect(position).toEqual(end);
      expect([...view.values()].toSorted((a, b) => a.sequence - b.sequence)).toEqual(entries);
    });

    test('of writers that race for the same thing one wins', async () => {
      await using more = new AsyncDisposableStack();
      const other = database.shared ? more.use(await database.open()) : store;
      const outcomes = await Promise.all(
        [store, other, store, other].map((writer, index) =>
          writer.createEntries([newEntry({ id: `racer-${index}` })]),
        ),
      );
      const kinds = outcomes.flat().map(({ kind }) => kind);
      expect(kinds.toSorted()).toEqual(['similar', 'similar', 'similar', 'written']);
      await store.createJoinToken({ digest: 'ab', expiresAt: 100 });
      const taken = await Promise.all([store, other, store, other].map((taker) => taker.takeJoinToken('ab')));
      expect(taken.filter((token) => token !== undefined)).toHaveLength(1);
    });

    test('a write that fails leaves nothing, and no revision', async () => {
      await store.createEntries([newEntry()]);
      const before = await store.snapshot();
      const failing = store.updateEntries([
        { id: 'entry-1', change: (entry) => ({ ...entry, hint: 'half' }) },
        {
          id: 'entry-1',
          change: () => {
            throw new Error('stop');
          },
        },
      ]);
      expect(await messageOf(failing)).toBe('stop');
      expect(await store.snapshot()).toEqual(before);
    });

    test('asks for a snapshot when the position is of another history, in the future or compacted', async () => {
      await store.createEntries([newEntry(), newEntry({ id: 'entry-2', selectors: [] })]);
      const first = (await store.changesAfter(beginning, 1))!.position;
      const { position } = await store.snapshot();
      expect(await changes({ ...position, epoch: 'other' })).toBeUndefined();
      expect(await changes({ ...first, epoch: 'other' })).toBeUndefined();
      expect(await changes({ ...position, revision: position.revision + 1 })).toBeUndefined();
      expect((await changes(first))!.changes).toHaveLength(1);
      await store.compact(1);
      expect(await changes()).toBeUndefined();
      expect((await changes(first))!.changes).toHaveLength(1);
      await store.compact(1_000);
      expect(await changes(first)).toBeUndefined();
      expect((await changes(position))!.changes).toEqual([]);
    });

    test('positions of a database that was reset are of another history', async () => {
      await store.createEntries([newEntry()]);
      const { position } = await store.snapshot();
      const second = await create();
      await using reset = await second.open();
      await reset.createEntries([newEntry()]);
      expect(await reset.changesAfter(position, 10)).toBeUndefined();
      expect(await reset.changesAfter(beginning, 10)).toBeUndefined();
      await reset[Symbol.asyncDispose]();
      await second.remove();
    });

    test('tells its subscribers after each commit', async () => {
      let calls = 0;
      const stop = store.subscribe(() => calls++);
      await store.createEntries([newEntry()]);
      expect(calls).toBeGreaterThan(0);
      stop();
      const before = calls;
      await store.deleteEntries(['entry-1']);
      expect(calls).toBe(before);
    });
  });
}
