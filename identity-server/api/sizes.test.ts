import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  Entry,
  ListEntriesResponseSchema,
  type SyncAuthorizedEntriesResponse,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';
import { MAX_ANSWER_BYTES, sizeOf } from './message-size.ts';

const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });
// About 8 kB each.
const large = (parent: string, index: number) => ({
  parentId: id(parent),
  spiffeId: id(`/web/${index}`),
  selectors: [{ type: 'unix', value: `path:/${'x'.repeat(7_900)}` }],
});

async function register(server: TestServer, parent: string, count: number): Promise<void> {
  for (let at = 0; at < count; at += 200) {
    const entries = Array.from({ length: Math.min(200, count - at) }, (_, index) =>
      large(parent, at + index),
    );
    await server.local.unary(Entry.method.batchCreateEntry, { entries, outputMask: {} });
  }
}

test('the estimate is never too small, and not far off', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const entry = fc.record({
    id: text,
    spiffeId: fc.record({ trustDomain: text, path: text }),
    selectors: fc.array(fc.record({ type: text, value: text })),
    x509SvidTtl: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    admin: fc.boolean(),
    expiresAt: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    dnsNames: fc.array(text),
    additionalAttributes: fc.option(fc.record({ jwtSvidIncludeJti: fc.boolean() }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
      const message = { entries };
      const bytes = toBinary(ListEntriesResponseSchema, create(ListEntriesResponseSchema, message)).length;
      const estimate = sizeOf(message);
      expect(estimate).toBeGreaterThanOrEqual(bytes);
      expect(estimate).toBeLessThanOrEqual(bytes * 3 + entries.length * 60 + 60);
      // The same for a message that was read.
      expect(sizeOf(create(ListEntriesResponseSchema, message))).toBeGreaterThanOrEqual(bytes);
    }),
  );
});

describe('no answer is larger than a plain client takes', () => {
  test('listings: pages end early, and without pages the call fails and says how to ask', async () => {
    await using server = await startTestServer();
    await register(server, '/node', 700);
    const list = (request: object) => server.local.unary(Entry.method.listEntries, request);
    expect(await failureOf(list({}))).toMatch(/^RESOURCE_EXHAUSTED: .*set page_size/);
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await list({ pageSize: 700, pageToken });
      expect(page.entries.length).toBeLessThan(600);
      seen.push(...page.entries.map(({ spiffeId }) => spiffeId!.path));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual(Array.from({ length: 700 }, (_, index) => `/web/${index}`));
    // With a mask, everything fits.
    expect((await list({ outputMask: { spiffeId: true } })).entries).toHaveLength(700);
  });

  test('agents: the overview becomes revisions, and entries come in pages', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    await register(server, agent.path, 500);
    await register(server, '/elsewhere', 300);
    await register(server, agent.path, 502);
    const client = await server.connect(agent);
    expect(await failureOf(client.unary(Entry.method.getAuthorizedEntries, {}))).toMatch(
      /^RESOURCE_EXHAUSTED: .*page_size.*SyncAuthorizedEntries/,
    );
    const call = client.bidiStream(Entry.method.syncAuthorizedEntries, { timeout: 20_000 });
    call.send({});
    const answers: SyncAuthorizedEntriesResponse[] = [];
    const entries: string[] = [];
    let asked = false;
    for await (const answer of call.messages) {
      answers.push(answer);
      entries.push(...answer.entries.map((entry) => entry.id));
      if (answer.more) continue;
      if (asked) break;
      asked = true;
      call.send({
        ids: answers.flatMap(({ entryRevisions }) => entryRevisions.map((revision) => revision.id)),
      });
    }
    expect(new Set(entries).size).toBe(502);
    expect(answers.filter((answer) => answer.entries.length > 0).length).toBeGreaterThan(1);
    // 500 entries are few enough for one message by number, and too large by bytes.
    await using other = await startTestServer();
    const few = await other.attest();
    await register(other, few.path, 499);
    const second = (await other.connect(few)).bidiStream(Entry.method.syncAuthorizedEntries, {
      timeout: 20_000,
    });
    second.send({});
    for await (const answer of second.messages) {
      expect([answer.entries.length, answer.entryRevisions.length]).toEqual([0, 499]);
      break;
    }
  });

  test('batches: what could not be answered is not written', async () => {
    await using server = await startTestServer();
    const entries = Array.from({ length: 505 }, (_, index) => large('/node', index));
    expect(sizeOf(entries)).toBeGreaterThan(MAX_ANSWER_BYTES);
    const create = server.local.unary(Entry.method.batchCreateEntry, { entries });
    expect(await failureOf(create)).toMatch(/^RESOURCE_EXHAUSTED: .*several batches/);
    expect((await server.local.unary(Entry.method.countEntries, {})).count).toBe(0);
  });
});
