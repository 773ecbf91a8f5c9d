import { describe, expect, test } from 'vitest';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import {
  Entry,
  type SyncAuthorizedEntriesResponse,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SelectorMatch_MatchBehavior as Match } from '../../sdk/api/gen/spire/api/types/selector_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';

const id = (path: string, trustDomain = TRUST_DOMAIN) => ({ trustDomain, path });
const uid = (value: number | string) => ({ type: 'unix', value: `uid:${value}` });
const entry = (path: string, over: object = {}) => ({
  parentId: id('/node'),
  spiffeId: id(path),
  selectors: [uid(1)],
  ...over,
});

async function create(server: TestServer, entries: object[], outputMask?: object) {
  const { results } = await server.local.unary(Entry.method.batchCreateEntry, { entries, outputMask });
  return results;
}

describe('BatchCreateEntry', () => {
  test('answers each item on its own, in order', async () => {
    await using server = await startTestServer();
    const results = await create(server, [
      entry('/web', { id: 'mine', hint: 'h', dnsNames: ['web.example'], x509SvidTtl: 60 }),
      entry('/web'),
      entry('/spire/x'),
      entry('/db', { id: 'mine' }),
      entry('/db', { selectors: [] }),
      entry('/db', { spiffeId: id('/db', 'other.org') }),
      entry('/db'),
    ]);
    expect(results.map(({ status }) => [status!.code, status!.message])).toEqual([
      [0, 'OK'],
      [6, 'similar entry already exists'],
      [3, expect.stringContaining('path is in the reserved namespace')],
      [6, 'an entry with this ID already exists'],
      [3, 'failed to convert entry: selector list is empty'],
      [3, expect.stringContaining('is not a member of trust domain "example.org"')],
      [0, 'OK'],
    ]);
    expect(results[1]!.entry!.id).toBe('mine');
    expect(results[0]!.entry).toMatchObject({ id: 'mine', hint: 'h', revisionNumber: 0n, x509SvidTtl: 60 });
    expect(results[2]!.entry).toBeUndefined();
  });

  test('a mask that lets nothing through leaves the ID', async () => {
    await using server = await startTestServer();
    const [result] = await create(server, [entry('/web')], {});
    expect(result!.entry!.id).not.toBe('');
    expect(result!.entry!.spiffeId).toBeUndefined();
    expect(result!.entry!.selectors).toEqual([]);
  });
});

describe('BatchUpdateEntry', () => {
  test('writes the fields of the mask and no other, and never makes two alike', async () => {
    await using server = await startTestServer();
    await create(server, [entry('/a', { id: 'a', hint: 'old' }), entry('/b', { id: 'b' })]);
    const update = async (message: object, inputMask?: object) => {
      const { results } = await server.local.unary(Entry.method.batchUpdateEntry, {
        entries: [message],
        inputMask,
      });
      return results[0]!;
    };
    const changed = await update({ id: 'a', hint: 'new', x509SvidTtl: -5 }, { hint: true });
    expect(changed.entry).toMatchObject({ hint: 'new', x509SvidTtl: 0, revisionNumber: 1n });
    expect(changed.entry!.spiffeId!.path).toBe('/a');
    expect((await update({ id: 'a', x509SvidTtl: -5 }, { x509SvidTtl: true })).status!.code).toBe(3);
    expect((await update({ id: 'b', spiffeId: id('/a') }, { spiffeId: true })).status!.code).toBe(6);
    expect((await update({ id: 'c' }, {})).status!.code).toBe(5);
    expect((await update(entry('/a', { id: 'a' }))).entry).toMatchObject({ hint: '', revisionNumber: 2n });
  });
});

describe('reading entries', () => {
  test('GetEntry, ListEntries with filters and pages, CountEntries, BatchDeleteEntry', async () => {
    await using server = await startTestServer();
    await create(server, [
      entry('/a', { id: '1', selectors: [uid(1)] }),
      entry('/a', { id: '2', selectors: [uid(1), uid(2)], hint: 'x' }),
      entry('/b', { id: '3', selectors: [uid(3)], federatesWith: ['other.org', 'spiffe://third.org'] }),
      entry('/b', { id: '4', parentId: id('/a'), selectors: [uid(2)], downstream: true }),
    ]);
    const listed = async (filter: object) => {
      const { entries } = await server.local.unary(Entry.method.listEntries, { filter });
      const { count } = await server.local.unary(Entry.method.countEntries, { filter });
      expect(count).toBe(entries.length);
      return entries.map((entry) => entry.id).join();
    };
    const bySelectors = (match: Match, ...selectors: object[]) => ({ bySelectors: { match, selectors } });
    expect(await listed({})).toBe('1,2,3,4');
    expect(await listed({ bySpiffeId: id('/a') })).toBe('1,2');
    expect(await listed({ byParentId: id('/a') })).toBe('4');
    expect(await listed(bySelectors(Match.MATCH_EXACT, uid(1)))).toBe('1');
    expect(await listed(bySelectors(Match.MATCH_SUBSET, uid(1), uid(2)))).toBe('1,2,4');
    expect(await listed(bySelectors(Match.MATCH_SUPERSET, uid(1)))).toBe('1,2');
    expect(await listed(bySelectors(Match.MATCH_ANY, uid(2), uid(3)))).toBe('2,3,4');
    expect(
      await listed({ byFederatesWith: { match: 1, trustDomains: ['other.org', 'third.org', 'x.org'] } }),
    ).toBe('3');
    expect(await listed({ byHint: 'x' })).toBe('2');
    expect(await listed({ byDownstream: true })).toBe('4');

    const list = (request: object) => server.local.unary(Entry.method.listEntries, request);
    const first = await list({ pageSize: 3 });
    expect(first.entries).toHaveLength(3);
    const rest = await list({ pageSize: 3, pageToken: first.nextPageToken });
    expect([rest.entries.length, rest.nextPageToken]).toEqual([1, '']);
    expect(await failureOf(list({ pageToken: 'one' }))).toMatch(/^INVALID_ARGUMENT/);
    expect(await failureOf(list({ filter: { bySelectors: {} } }))).toBe(
      'INVALID_ARGUMENT: malformed selectors filter: empty selector set',
    );

    const get = (entryId: string) => server.local.unary(Entry.method.getEntry, { id: entryId });
    expect((await get('3')).federatesWith).toEqual(['other.org', 'third.org']);
    expect(await failureOf(get(''))).toBe('INVALID_ARGUMENT: missing ID');
    expect(await failureOf(get('9'))).toBe('NOT_FOUND: entry not found');
    const { results } = await server.local.unary(Entry.method.batchDeleteEntry, { ids: ['3', '9', ''] });
    expect(results.map((result) => [result.id, result.status!.code])).toEqual([
      ['3', 0],
      ['9', 5],
      ['', 3],
    ]);
    expect(await listed({})).toBe('1,2,4');
  });
});

describe('SyncAuthorizedEntries', () => {
  async function agentOf(server: TestServer): Promise<GrpcClient> {
    const { value } = await server.local.unary(Agent.method.createJoinToken, {
      ttl: 60,
      agentId: id('/node'),
    });
    return server.connect(await server.attest(value));
  }

  test('few entries come at once', async () => {
    await using server = await startTestServer();
    const client = await agentOf(server);
    await create(server, [entry('/web'), entry('/other', { parentId: id('/elsewhere') })]);
    const call = client.bidiStream(Entry.method.syncAuthorizedEntries);
    call.send({ outputMask: { spiffeId: true, revisionNumber: true } });
    call.close();
    const messages = [];
    for await (const message of call.messages) messages.push(message);
    expect(messages).toHaveLength(1);
    expect(messages[0]!.entryRevisions).toEqual([]);
    expect(messages[0]!.entries.map(({ spiffeId }) => spiffeId!.path).toSorted()).toEqual(['/node', '/web']);
    expect(messages[0]!.entries.every(({ selectors }) => selectors.length === 0)).toBe(true);
  });

  test('many come by revision first, in pages of 500, and then those that are asked for', async () => {
    await using server = await startTestServer();
    const client = await agentOf(server);
    await create(
      server,
      Array.from({ length: 1_200 }, (_, index) => entry(`/w/${index}`, { id: `w${index}` })),
    );
    const call = client.bidiStream(Entry.method.syncAuthorizedEntries);
    const next = async (): Promise<SyncAuthorizedEntriesResponse> => (await call.messages.next()).value!;
    call.send({});
    const pages = [await next(), await next(), await next()];
    expect(pages.map(({ entryRevisions, more }) => [entryRevisions.length, more])).toEqual([
      [500, true],
      [500, true],
      [201, false],
    ]);
    expect(pages[0]!.entryRevisions.every(({ createdAt }) => createdAt > 0n)).toBe(true);
    call.send({ ids: [...Array.from({ length: 600 }, (_, index) => `w${index}`), 'stranger'] });
    const full = [await next(), await next()];
    expect(full.map(({ entries, more }) => [entries.length, more])).toEqual([
      [500, true],
      [100, false],
    ]);
    call.send({ ids: [] });
    expect(await next()).toMatchObject({ entries: [], more: false });
    call.close();
    expect((await call.messages.next()).done).toBe(true);
  });

  test.each([
    [[{ ids: ['x'] }], 'specifying IDs on initial request is not supported'],
    [[{ outputMask: { spiffeId: true } }], 'revision number cannot be masked'],
    [[{}, { outputMask: {} }], 'the output mask can only be set on the initial request'],
  ])('refuses %j', async (requests, message) => {
    await using server = await startTestServer();
    const client = await agentOf(server);
    const call = client.bidiStream(Entry.method.syncAuthorizedEntries);
    for (const request of requests) call.send(request);
    const drain = async () => {
      for await (const _ of call.messages);
    };
    expect(await failureOf(drain())).toBe(`INVALID_ARGUMENT: ${message}`);
  });

  test('an entry that expired is not served, from that second on', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now });
    const client = await agentOf(server);
    await create(server, [entry('/web', { expiresAt: BigInt(Math.floor(now / 1_000) + 10) })]);
    const count = async () =>
      (await client.unary(Entry.method.getAuthorizedEntries, {})).entries.filter(
        ({ spiffeId }) => spiffeId!.path === '/web',
      ).length;
    expect(await count()).toBe(1);
    now += 10_000;
    expect(await count()).toBe(0);
  });
});
