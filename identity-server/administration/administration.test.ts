import { Buffer } from 'node:buffer';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { Explain } from '../../sdk/api/gen/sigil/explain/v1/explain_pb.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import {
  BatchDeleteFederatedBundleRequest_Mode as Mode,
  Bundle,
} from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { LocalAuthority } from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { EntrySchema } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { parseTrustDomain, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';
import { administratorsSchema, createScopes } from './config.ts';
import { Scope } from './scope.ts';

const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });
const uri = (path: string) => `spiffe://${TRUST_DOMAIN}${path}` as SpiffeId;
const OPERATOR = '/ops/mal-admin';

const ALLOW = {
  rpcs: ['Entry/*', 'Agent/*', 'SVID/*', 'Bundle/*', 'TrustDomain/*', 'Explain/*'],
  spiffe_ids: ['/ns/mal', '/ns/mal/**'],
  parent_ids: ['/spire/agent/join_token/*', '/ns/mal/**', '/**'],
  dns_names: ['*.mal.example.org'],
};

interface Setup {
  readonly server: TestServer;
  readonly operator: GrpcClient;
  readonly agent: Awaited<ReturnType<TestServer['attest']>>;
}

/** A server with an administrator who is limited to /ns/mal. */
async function setUp(stack: AsyncDisposableStack, allow: object = {}): Promise<Setup> {
  const server = stack.use(
    await startTestServer({
      config: {
        admin_ids: [uri('/ops/root'), 'spiffe://foreign.org/admin'],
        administrators: [{ spiffe_id: uri(OPERATOR), allow: { ...ALLOW, ...allow } }],
      },
    }),
  );
  const agent = await server.attest();
  // That his entry says admin does not lift his limits.
  const operator = await server.connect(await server.issue(agent, OPERATOR, { admin: true }));
  return { server, operator, agent };
}

type EntryInit = MessageInitShape<typeof EntrySchema>;

const newEntry = (parent: string, path: string, over: object = {}): EntryInit => ({
  parentId: id(parent),
  spiffeId: id(path),
  selectors: [{ type: 'unix', value: 'uid:1' }],
  ...over,
});

async function create(client: GrpcClient, ...entries: EntryInit[]): Promise<string[]> {
  const { results } = await client.unary(Entry.method.batchCreateEntry, { entries });
  return results.map(({ status, entry }) =>
    status!.code === 0 ? entry!.id : `${status!.code} ${status!.message}`,
  );
}

async function update(client: GrpcClient, entry: EntryInit, inputMask: object): Promise<string> {
  const { results } = await client.unary(Entry.method.batchUpdateEntry, { entries: [entry], inputMask });
  return `${results[0]!.status!.code} ${results[0]!.status!.message}`;
}

async function remove(client: GrpcClient, name: string): Promise<string> {
  const { results } = await client.unary(Entry.method.batchDeleteEntry, { ids: [name] });
  return `${results[0]!.status!.code} ${results[0]!.status!.message}`;
}

const csrOf = (path: string, dnsNames: readonly string[] = []) =>
  createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, uri(path), { dnsNames });

describe('a scope', () => {
  const scope = new Scope({
    trustDomain: parseTrustDomain(TRUST_DOMAIN),
    rpcs: new Set(),
    spiffeIds: ['/ns/mal', '/ns/mal/*/web'],
    parentIds: ['/**', '/*/*'],
    dnsNames: ['a.example.org', '*.mal.example.org'],
  });

  test.each([
    ['/ns/mal', true],
    ['/ns/malicious', false],
    ['/ns/mal/x/web', true],
    ['/ns/mal/web', false],
    ['/ns/mal/x/y/web', false],
    ['/ns', false],
  ])('%s: %s', (path, covered) => expect(scope.coversId(uri(path))).toBe(covered));

  test('covers nobody of another trust domain', () => {
    expect(scope.coversId('spiffe://other.org/ns/mal' as SpiffeId)).toBe(false);
    expect(scope.coversParent('spiffe://example.organic/ns' as SpiffeId)).toBe(false);
  });

  test.each(['/spire', '/spire/server', '/spire/agent/x/1'])('%s is never meant by a wildcard', (path) => {
    expect(scope.coversParent(uri(path))).toBe(false);
  });

  test.each([
    ['/spire/**', '/spire/agent/x', true],
    ['/spire/**', '/spire/server', false],
    ['/spire/*', '/spire/server', false],
    ['/spire/server', '/spire/server', true],
    ['/spirelike/**', '/spire/server', false],
  ])('%s covers %s: %s', (pattern, path, covered) => {
    const options = { trustDomain: parseTrustDomain(TRUST_DOMAIN), rpcs: new Set<string>(), dnsNames: [] };
    const own = new Scope({ ...options, spiffeIds: [], parentIds: [pattern] });
    expect(own.coversParent(uri(path))).toBe(covered);
  });

  test.each([
    ['A.example.org', true],
    ['b.example.org', false],
    ['x.mal.example.org', true],
    ['mal.example.org', false],
    ['x.y.mal.example.org', false],
    ['xmal.example.org', false],
  ])('DNS name %s: %s', (name, covered) => expect(scope.coversDnsName(name)).toBe(covered));
});

test('what is no RPC, no pattern, or both limited and not, is refused at the start', () => {
  const parse = (allow: object) => administratorsSchema.safeParse([{ spiffe_id: uri('/a'), allow }]);
  for (const rpcs of [
    [],
    ['Entry/Nothing'],
    ['Nothing/*'],
    ['*'],
    ['Entry/SyncAuthorizedEntries'],
    ['Bundle/AppendBundle'],
  ]) {
    expect(parse({ rpcs }).success, rpcs.join()).toBe(false);
  }
  for (const pattern of ['ns', '', '/ns/ma*', '/a/**/b', '/ns/']) {
    const { success } = parse({ rpcs: ['Entry/*'], spiffe_ids: [pattern] });
    expect(success, pattern).toBe(pattern === '/ns/');
  }
  const administrators = administratorsSchema.parse([
    { spiffe_id: uri('/a'), allow: { rpcs: ['Bundle/*'] } },
  ]);
  const options = { trustDomain: parseTrustDomain(TRUST_DOMAIN) };
  const scopes = createScopes(administrators, { ...options, adminIds: [] });
  expect(scopes.get(uri('/a'))!.allowsRpc('/spire.api.server.bundle.v1.Bundle/AppendBundle')).toBe(false);
  expect(() => createScopes(administrators, { ...options, adminIds: [uri('/a')] })).toThrow(/no limits/);
  expect(() => createScopes([...administrators, ...administrators], { ...options, adminIds: [] })).toThrow(
    /twice/,
  );
});

describe('an administrator with limits', () => {
  test('does what lies within them', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack);
    const [own] = await create(
      operator,
      newEntry(agent.path, '/ns/mal/web', { dnsNames: ['a.mal.example.org'] }),
    );
    await create(server.local, newEntry(agent.path, '/ns/malicious/web'));
    const { entries, nextPageToken } = await operator.unary(Entry.method.listEntries, {});
    expect([entries.map((entry) => entry.id), nextPageToken]).toEqual([[own], '']);
    const paged = await operator.unary(Entry.method.listEntries, { pageSize: 100 });
    expect(paged.entries.map((entry) => entry.id)).toEqual([own]);
    expect((await operator.unary(Entry.method.countEntries, {})).count).toBe(1);
    expect((await operator.unary(Entry.method.getEntry, { id: own! })).id).toBe(own);
    expect(await update(operator, { id: own!, hint: 'new' }, { hint: true })).toBe('0 OK');
    const { agents } = await operator.unary(Agent.method.listAgents, {});
    expect(agents.map((each) => each.id!.path)).toEqual([agent.path]);
    await operator.unary(SVID.method.mintX509SVID, { csr: csrOf('/ns/mal/tool') });
    await operator.unary(SVID.method.mintJWTSVID, { id: id('/ns/mal/tool'), audience: ['a'] });
    expect(await remove(operator, own!)).toBe('0 OK');
  });

  test('calls no RPC that is not named, even where an entry makes him an administrator', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator } = await setUp(stack, { rpcs: ['Entry/ListEntries'] });
    expect(await failureOf(operator.unary(Entry.method.listEntries, {}))).toBe('OK');
    expect(await failureOf(operator.unary(Entry.method.countEntries, {}))).toMatch(/^PERMISSION_DENIED/);
    expect(await failureOf(operator.unary(LocalAuthority.method.prepareX509Authority, {}))).toMatch(
      /^PERMISSION_DENIED/,
    );
  });

  test('entries outside do not exist for him', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack);
    const [foreign] = await create(server.local, newEntry(agent.path, '/ns/malicious'));
    expect(await failureOf(operator.unary(Entry.method.getEntry, { id: foreign! }))).toBe(
      'NOT_FOUND: entry not found',
    );
    expect(await update(operator, { id: foreign!, hint: 'x' }, { hint: true })).toBe('5 entry not found');
    expect(await remove(operator, foreign!)).toBe('5 entry not found');
    const explained = await operator.unary(Explain.method.explainEntries, {
      agentId: id(agent.path),
      selectors: [{ type: 'unix', value: 'uid:1' }],
    });
    expect([explained.matchedCount, explained.nearlyCount]).toEqual([0, 0]);
  });
});

describe('an administrator with limits cannot widen them', () => {
  const PERMISSION_DENIED = /^7 /;

  test('by an entry outside, by its ID or its parent; those inside of the same batch are created', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator, agent } = await setUp(stack, { parent_ids: ['/spire/agent/join_token/*'] });
    const answers = await create(
      operator,
      newEntry(agent.path, '/ns/malicious'),
      newEntry(agent.path, '/ns/mal/in'),
      newEntry('/ns/other', '/ns/mal/web'),
    );
    expect(answers[0]).toMatch(/^7 the SPIFFE ID .* outside of your scope/);
    expect(answers[1]).toMatch(/^[0-9a-f-]{36}$/);
    expect(answers[2]).toMatch(/^7 the parent ID .* outside of your scope/);
  });

  test('by moving an entry out, its ID or its parent', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator, agent } = await setUp(stack, { parent_ids: ['/spire/agent/join_token/*'] });
    const [own] = await create(operator, newEntry(agent.path, '/ns/mal/web'));
    expect(await update(operator, { id: own!, spiffeId: id('/ns/bank') }, { spiffeId: true })).toMatch(
      PERMISSION_DENIED,
    );
    expect(await update(operator, { id: own!, parentId: id('/ns/bank') }, { parentId: true })).toMatch(
      PERMISSION_DENIED,
    );
  });

  test('by granting admin or downstream, at creation or later', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator, agent } = await setUp(stack);
    for (const role of ['admin', 'downstream'] as const) {
      const [answer] = await create(operator, newEntry(agent.path, '/ns/mal/a', { [role]: true }));
      expect(answer).toMatch(PERMISSION_DENIED);
      const [own] = await create(operator, newEntry(agent.path, `/ns/mal/${role}`));
      expect(await update(operator, { id: own!, [role]: true }, { [role]: true })).toMatch(PERMISSION_DENIED);
    }
  });

  test('by taking over an ID that has a role: by another entry, a mint, a token, or the entry itself', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack, { spiffe_ids: ['/ns/mal/**', '/ops/**'] });
    const [boss] = await create(server.local, newEntry(agent.path, '/ns/mal/boss', { admin: true }));
    const selectors = [{ type: 'unix', value: 'uid:2' }];
    for (const path of ['/ns/mal/boss', '/ops/root', OPERATOR]) {
      const [answer] = await create(operator, newEntry(agent.path, path, { selectors }));
      expect(answer, path).toMatch(/^7 .* has a role/);
      const mint = operator.unary(SVID.method.mintX509SVID, { csr: csrOf(path) });
      expect(await failureOf(mint), path).toMatch(/^PERMISSION_DENIED/);
      const token = operator.unary(Agent.method.createJoinToken, { ttl: 60, agentId: id(path) });
      expect(await failureOf(token), path).toMatch(/^PERMISSION_DENIED/);
    }
    expect(await update(operator, { id: boss!, selectors }, { selectors: true })).toMatch(PERMISSION_DENIED);
    expect(await remove(operator, boss!)).toMatch(PERMISSION_DENIED);
  });

  test('by node aliases, however wide his patterns are', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator } = await setUp(stack, { parent_ids: ['/**', '/spire/**'] });
    const [answer] = await create(operator, newEntry('/spire/server', '/ns/mal/nodes'));
    expect(answer).toMatch(/^7 the parent ID/);
  });

  test('by an ID below which others have entries, however deep', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack);
    await create(
      server.local,
      newEntry('/ns/mal/gate', '/ns/mal/inner'),
      newEntry('/ns/mal/inner', '/ns/bank'),
    );
    const [answer] = await create(operator, newEntry(agent.path, '/ns/mal/gate'));
    expect(answer).toMatch(/^7 below .* there are entries outside/);
    const token = operator.unary(Agent.method.createJoinToken, { ttl: 60, agentId: id('/ns/mal/gate') });
    expect(await failureOf(token)).toMatch(/^PERMISSION_DENIED: below/);
  });

  test('by join tokens: for an ID outside, or where agents are outside', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator } = await setUp(stack);
    const token = (agentId?: object) =>
      failureOf(operator.unary(Agent.method.createJoinToken, { ttl: 60, agentId }));
    expect(await token(id('/ns/malicious'))).toMatch(/^PERMISSION_DENIED/);
    expect(await token(id('/ns/mal/node'))).toBe('OK');
    await using other = new AsyncDisposableStack();
    const narrow = await setUp(other, { parent_ids: ['/ns/mal/**'] });
    const answer = narrow.operator.unary(Agent.method.createJoinToken, { ttl: 60 });
    expect(await failureOf(answer)).toMatch(/^PERMISSION_DENIED/);
    expect(await failureOf(narrow.operator.unary(Agent.method.getAgent, { id: id(narrow.agent.path) }))).toBe(
      'NOT_FOUND: agent not found',
    );
  });

  test('by minting outside: X.509, JWT, DNS names', async () => {
    await using stack = new AsyncDisposableStack();
    const { operator, agent } = await setUp(stack);
    const x509 = (csr: Uint8Array) => failureOf(operator.unary(SVID.method.mintX509SVID, { csr }));
    expect(await x509(csrOf('/ns/malicious'))).toMatch(/^PERMISSION_DENIED/);
    expect(await x509(csrOf('/ns/mal/a', ['bank.example.org']))).toMatch(/^PERMISSION_DENIED: the DNS name/);
    expect(await x509(csrOf('/ns/mal/a', ['a.mal.example.org']))).toBe('OK');
    const jwt = operator.unary(SVID.method.mintJWTSVID, { id: id('/ns/malicious'), audience: ['a'] });
    expect(await failureOf(jwt)).toMatch(/^PERMISSION_DENIED/);
    const [answer] = await create(
      operator,
      newEntry(agent.path, '/ns/mal/web', { dnsNames: ['bank.example.org'] }),
    );
    expect(answer).toMatch(/^7 the DNS name/);
  });

  test('by taking over an entry with names that are not his', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack);
    const [named] = await create(
      server.local,
      newEntry(agent.path, '/ns/mal/api', { dnsNames: ['bank.example.org'] }),
    );
    const selectors = [{ type: 'unix', value: 'uid:2' }];
    expect(await update(operator, { id: named!, selectors }, { selectors: true })).toMatch(/^7 the DNS name/);
  });

  test('by authorities: neither appended nor dissociated, nor those of a trust domain that administers', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack);
    const [foreign, partner] = [await testAuthority('foreign.org'), await testAuthority('partner.org')];
    const bundle = (authority: typeof foreign, trustDomain: string) => ({
      trustDomain,
      x509Authorities: [{ asn1: authority.certificate.der }],
    });
    const append = operator.unary(Bundle.method.appendBundle, {
      x509Authorities: [{ asn1: partner.certificate.der }],
    });
    expect(await failureOf(append)).toMatch(/^PERMISSION_DENIED/);
    const { results } = await operator.unary(Bundle.method.batchSetFederatedBundle, {
      bundle: [
        bundle(foreign, 'foreign.org'),
        bundle(partner, 'partner.org'),
        bundle(foreign, 'spiffe://foreign.org'),
      ],
    });
    expect(results.map(({ status }) => status!.code)).toEqual([7, 0, 7]);
    await create(server.local, newEntry(agent.path, '/ns/bank', { federatesWith: ['partner.org'] }));
    for (const mode of [Mode.DELETE, Mode.DISSOCIATE]) {
      const call = operator.unary(Bundle.method.batchDeleteFederatedBundle, {
        trustDomains: ['partner.org'],
        mode,
      });
      expect(await failureOf(call)).toMatch(/^PERMISSION_DENIED/);
    }
  });

  test('by banning or evicting an agent that serves others', async () => {
    await using stack = new AsyncDisposableStack();
    const { server, operator, agent } = await setUp(stack);
    const shared = { id: id(agent.path) };
    expect(await failureOf(operator.unary(Agent.method.banAgent, shared))).toMatch(/^PERMISSION_DENIED/);
    expect(await failureOf(operator.unary(Agent.method.deleteAgent, shared))).toMatch(/^PERMISSION_DENIED/);
    const own = await server.attest();
    await create(operator, newEntry(own.path, '/ns/mal/only'));
    expect(await failureOf(operator.unary(Agent.method.banAgent, { id: id(own.path) }))).toBe('OK');
  });
});

test('an administrator from abroad can be limited, too', async () => {
  await using server = await startTestServer({
    config: { administrators: [{ spiffe_id: 'spiffe://partner.org/ops', allow: ALLOW }] },
  });
  const partner = await testAuthority('partner.org');
  await server.local.unary(Bundle.method.batchSetFederatedBundle, {
    bundle: [{ trustDomain: 'partner.org', x509Authorities: [{ asn1: partner.certificate.der }] }],
  });
  const svid = await partner.issue('/ops');
  const privateKey = createPrivateKey({ key: Buffer.from(svid.privateKey), format: 'der', type: 'pkcs8' });
  const client = await server.connect({ chain: svid.certificates, privateKey });
  expect((await client.unary(Entry.method.countEntries, {})).count).toBe(0);
  const entries = [newEntry('/ns/mal/gate', '/ns/malicious')];
  const { results } = await client.unary(Entry.method.batchCreateEntry, { entries });
  expect(results[0]!.status!.code).toBe(7);
});
