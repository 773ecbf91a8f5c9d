import { createHash, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';

type Line = Record<string, unknown>;
const parsed = (server: TestServer): Line[] => server.lines.map((line) => JSON.parse(line) as Line);
const auditOf = (server: TestServer, rpc: string) =>
  parsed(server).filter(({ type, path }) => type === 'audit' && String(path).endsWith(`/${rpc}`));
const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });

test('one line an item in batches: who, on what grounds, what, and how it ended', async () => {
  await using server = await startTestServer({ config: { audit_log: true } });
  const { local } = server;
  await local.unary(Entry.method.batchCreateEntry, {
    entries: [
      {
        parentId: id('/node'),
        spiffeId: id('/web'),
        selectors: [{ type: 'unix', value: 'uid:1' }],
        dnsNames: ['a.example'],
        hint: 'h',
      },
      { spiffeId: id('/spire/x'), parentId: id('/node') },
    ],
  });
  const [created, refused] = auditOf(server, 'BatchCreateEntry');
  expect(created).toMatchObject({
    type: 'audit',
    status: 'success',
    authorized_as: 'local',
    authorized_via: 'transport',
    spiffe_id: 'spiffe://example.org/web',
    parent_id: 'spiffe://example.org/node',
    selectors: ['unix:uid:1'],
    dns_names: ['a.example'],
    hint: 'h',
  });
  expect(refused).toMatchObject({
    status: 'error',
    status_code: 'INVALID_ARGUMENT',
    status_message: expect.stringContaining('reserved namespace'),
    spiffe_id: 'spiffe://example.org/spire/x',
  });
  expect(created!['request_id']).toBe(refused!['request_id']);
  const call = parsed(server).find(
    ({ msg, path }) => msg === 'call' && String(path).endsWith('BatchCreateEntry'),
  );
  expect(call!['request_id']).toBe(created!['request_id']);
});

test('agents, administrators and strangers', async () => {
  await using server = await startTestServer({
    config: { audit_log: true, admin_ids: [`spiffe://${TRUST_DOMAIN}/boss`] },
  });
  const agent = await server.attest();
  const agentId = `spiffe://example.org${agent.path}`;
  expect(auditOf(server, 'AttestAgent')).toMatchObject([
    { status: 'success', agent_id: agentId, node_attestor_type: 'join_token', caller_addr: '127.0.0.1' },
  ]);
  expect(auditOf(server, 'AttestAgent')[0]).not.toHaveProperty('authorized_as');
  const client = await server.connect(agent);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = createCsr(privateKey);
  await client.unary(SVID.method.batchNewX509SVID, { params: [{ entryId: 'x', csr }] });
  expect(auditOf(server, 'BatchNewX509SVID')).toMatchObject([
    {
      status: 'error',
      status_code: 'NOT_FOUND',
      caller_id: agentId,
      authorized_as: 'agent',
      authorized_via: 'datastore',
      registration_id: 'x',
      csr: createHash('sha256').update(csr).digest('hex'),
    },
  ]);
  const boss = await server.connect(await server.issue(agent, '/boss'));
  expect(await failureOf(boss.unary(Entry.method.getEntry, { id: 'none' }))).toMatch(/^NOT_FOUND/);
  expect(auditOf(server, 'GetEntry')).toMatchObject([
    { authorized_as: 'admin', authorized_via: 'config', status_code: 'NOT_FOUND', registration_id: 'none' },
  ]);
  await boss.unary(Bundle.method.batchDeleteFederatedBundle, { trustDomains: ['a.org'] });
  expect(auditOf(server, 'BatchDeleteFederatedBundle')).toMatchObject([
    { trust_domain_id: 'a.org', status: 'error' },
  ]);
});

test('holds no token and no key, and there is none unless it is asked for', async () => {
  await using server = await startTestServer({ config: { audit_log: true } });
  const { value } = await server.local.unary(Agent.method.createJoinToken, {
    ttl: 60,
    token: 'a-secret-token',
  });
  expect(auditOf(server, 'CreateJoinToken')).toMatchObject([{ ttl: 60, status: 'success' }]);
  expect(server.lines.join('')).not.toContain(value);
  await using quiet = await startTestServer();
  await quiet.local.unary(Agent.method.createJoinToken, { ttl: 60 });
  expect(quiet.lines.join('')).not.toContain('"audit"');
});
