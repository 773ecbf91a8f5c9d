import { describe, expect, test } from 'vitest';
import {
  AgentState_Standing as Standing,
  Explain,
  Obstacle_Kind as Kind,
  type ExplainEntriesResponse,
} from '../../sdk/api/gen/sigil/explain/v1/explain_pb.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';

const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });
const selectorOf = (text: string) => ({
  type: text.slice(0, text.indexOf(':')),
  value: text.slice(text.indexOf(':') + 1),
});

async function add(
  server: TestServer,
  parent: string,
  path: string,
  selectors: string,
  over: object = {},
): Promise<string> {
  const { results } = await server.local.unary(Entry.method.batchCreateEntry, {
    entries: [
      { parentId: id(parent), spiffeId: id(path), selectors: selectors.split(' ').map(selectorOf), ...over },
    ],
  });
  if (results[0]!.status!.code !== 0) throw new Error(results[0]!.status!.message);
  return results[0]!.entry!.id;
}

const ask = (server: TestServer, agent: string, selectors: string, over: object = {}) =>
  server.local.unary(Explain.method.explainEntries, {
    agentId: id(agent),
    selectors: selectors === '' ? [] : selectors.split(' ').map(selectorOf),
    ...over,
  });

const nameOf = (names: Readonly<Record<string, number>>, value: number) =>
  Object.keys(names).find((name) => names[name] === value);
const paths = (entries: ExplainEntriesResponse['matched']) =>
  entries.map(({ spiffeId }) => spiffeId!.path).toSorted();
const kindsOf = ({ nearly }: ExplainEntriesResponse, path: string) =>
  nearly.find(({ spiffeId }) => spiffeId!.path === path)?.obstacles.map(({ kind }) => nameOf(Kind, kind));

describe('ExplainEntries', () => {
  test('names what matched, what nearly did, and everything that is missing', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now });
    const [agent, other] = [await server.attest(), await server.attest()];
    const at = BigInt(Math.floor(now / 1_000) + 30);
    await add(server, agent.path, '/web', 'unix:uid:1000');
    await add(server, agent.path, '/batch', 'unix:uid:1000 unix:path:/bin/batch');
    await add(server, agent.path, '/typo', 'unix:uid:1001');
    await add(server, agent.path, '/stored', 'aws:secret', { storeSvid: true });
    await add(server, other.path, '/elsewhere', 'unix:uid:1000');
    await add(server, '/gone', '/orphan', 'unix:uid:1000');
    await add(server, other.path, '/middle', 'unix:uid:7');
    await add(server, '/middle', '/chained', 'unix:uid:1000');
    await add(server, agent.path, '/short', 'unix:uid:1000', { expiresAt: at });
    await add(server, agent.path, '/short-parent', 'unix:uid:1000', { expiresAt: at });
    await add(server, '/short-parent', '/below-short', 'unix:uid:1000');
    await add(server, '/spire/server', '/rack', 'rack:north x:y');
    await add(server, '/rack', '/racked', 'unix:uid:1000');
    await add(server, other.path, '/stranger', 'k8s:ns:far');
    now += 60_000;
    const answer = await ask(server, agent.path, 'unix:uid:1000 aws:secret');
    expect(answer.agent!.standing).toBe(Standing.ATTESTED);
    expect(paths(answer.matched)).toEqual(['/stored', '/web']);
    expect(answer.matched.find(({ storeSvid }) => storeSvid)!.spiffeId!.path).toBe('/stored');
    expect(kindsOf(answer, '/batch')).toEqual(['MISSING_SELECTORS']);
    expect(kindsOf(answer, '/typo')).toEqual(['MISSING_SELECTORS']);
    expect(kindsOf(answer, '/elsewhere')).toEqual(['PARENT_IS_OTHER_AGENT']);
    expect(kindsOf(answer, '/orphan')).toEqual(['PARENT_UNKNOWN']);
    expect(kindsOf(answer, '/chained')).toEqual(['PARENT_NOT_AUTHORIZED']);
    expect(kindsOf(answer, '/short')).toEqual(['EXPIRED']);
    expect(kindsOf(answer, '/below-short')).toEqual(['PARENT_EXPIRED']);
    expect(kindsOf(answer, '/racked')).toEqual(['ALIAS_MISSING_SELECTORS']);
    expect(kindsOf(answer, '/stranger')).toBeUndefined();
    expect(kindsOf(answer, '/rack')).toBeUndefined();
    const [typo] = answer.nearly.find(({ spiffeId }) => spiffeId!.path === '/typo')!.obstacles;
    expect([typo!.missing[0]!.value, typo!.present[0]!.value]).toEqual(['uid:1001', 'uid:1000']);
    const [racked] = answer.nearly.find(({ spiffeId }) => spiffeId!.path === '/racked')!.obstacles;
    expect(racked!.missing.map(({ type }) => type)).toEqual(['rack', 'x']);
    // The nearest first: one selector of the same kind with another value.
    expect(answer.nearly[0]!.obstacles).toHaveLength(1);
    expect(answer.nearlyCount).toBe(answer.nearly.length);
  });

  test('tells of one identity whatever is in its way, and of aliases that they are', async () => {
    await using server = await startTestServer();
    const [agent, other] = [await server.attest(), await server.attest()];
    await add(server, other.path, '/far', 'k8s:ns:far');
    await add(server, '/spire/server', '/rack', 'rack:north');
    expect((await ask(server, agent.path, 'unix:uid:1')).nearlyCount).toBe(0);
    const far = await ask(server, agent.path, 'unix:uid:1', { spiffeId: id('/far') });
    expect(kindsOf(far, '/far')).toEqual(['PARENT_IS_OTHER_AGENT', 'MISSING_SELECTORS']);
    const rack = await ask(server, agent.path, 'unix:uid:1', { spiffeId: id('/rack') });
    expect(kindsOf(rack, '/rack')).toContain('IS_ALIAS');
  });

  test('says of an agent that it is unknown, banned or expired', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now, config: { agent_ttl: '10m' } });
    const agent = await server.attest();
    await add(server, agent.path, '/web', 'unix:uid:1');
    const standing = async (path: string) =>
      nameOf(Standing, (await ask(server, path, 'unix:uid:1')).agent!.standing);
    expect(await standing('/spire/agent/join_token/nobody')).toBe('NOT_ATTESTED');
    now += 20 * 60_000;
    expect(await standing(agent.path)).toBe('EXPIRED');
    await server.local.unary(Agent.method.banAgent, { id: id(agent.path) });
    const answer = await ask(server, agent.path, 'unix:uid:1');
    expect([answer.agent!.standing, answer.matchedCount]).toEqual([Standing.BANNED, 0]);
    expect(kindsOf(answer, '/web')).toEqual(['AGENT_NOT_SERVED']);
  });

  test('is bounded, and counts what it does not tell', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const entries = Array.from({ length: 2_500 }, (_, index) => ({
      parentId: id(agent.path),
      spiffeId: id(`/e${index}`),
      selectors: [selectorOf(index < 500 ? 'unix:uid:1' : `unix:uid:${index}`)],
    }));
    await server.local.unary(Entry.method.batchCreateEntry, { entries });
    const answer = await ask(server, agent.path, 'unix:uid:1', { limit: 3 });
    expect([answer.matched.length, answer.matchedCount]).toEqual([200, 500]);
    expect([answer.nearly.length, answer.nearlyCount]).toEqual([3, 2_000]);
  });

  test.each<[string, object, RegExp]>([
    ['no agent', { agentId: undefined }, /^INVALID_ARGUMENT: invalid agent ID/],
    ['a bad selector', { selectors: [{ type: 'a:b', value: 'c' }] }, /^INVALID_ARGUMENT: invalid selector/],
    ['a bad limit', { limit: 201 }, /^INVALID_ARGUMENT: limit/],
    [
      'an ID from abroad',
      { spiffeId: { trustDomain: 'other.org', path: '/a' } },
      /^INVALID_ARGUMENT: invalid SPIFFE ID/,
    ],
  ])('refuses %s', async (_name, over, message) => {
    await using server = await startTestServer();
    expect(await failureOf(ask(server, '/spire/agent/x/1', 'a:b', over))).toMatch(message);
  });
});
