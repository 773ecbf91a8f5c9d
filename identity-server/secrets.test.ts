// Nothing that would let somebody in is ever written down: not in the log at its loudest, not in listings, not in the
// database.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Agent, ListAgentsResponseSchema } from '../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Entry, ListEntriesResponseSchema } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { failureOf, startTestServer, TRUST_DOMAIN } from './testing.ts';

test('tokens and private keys appear in no log, listing or database', async () => {
  await using server = await startTestServer({ config: { audit_log: true } });
  const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });
  const { value: token } = await server.local.unary(Agent.method.createJoinToken, {
    ttl: 60,
    agentId: id('/n'),
  });
  const { value: unused } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60 });
  // A script written for SPIRE.
  const parent = `/spire/agent/join_token/${token}`;
  const entryId = await server.register({ parent, path: '/web', selector: 'unix:uid:1' });
  const selector = `spiffe_id:spiffe://${TRUST_DOMAIN}${parent}`;
  await server.register({ parent, path: '/alias', selector });
  // Parents of agents that are still to come: these tokens are good yet.
  await server.register({ parent: `/spire/agent/join_token/${unused}`, path: '/later', selector });
  const agent = await server.attest(token);
  await server.local.unary(Agent.method.getAgent, { id: id(parent) });
  await failureOf(server.attest(token));
  await failureOf(server.attest('wrong-token-5d41402a'));
  const client = await server.connect(agent);
  await client.unary(Agent.method.renewAgent, { params: { csr: createCsr(agent.privateKey) } });
  const csr = createCsr(agent.privateKey);
  await client.unary(SVID.method.batchNewX509SVID, { params: [{ entryId, csr }] });

  const agents = await server.local.unary(Agent.method.listAgents, {});
  const entries = await server.local.unary(Entry.method.listEntries, {});
  expect([agents.agents.length, entries.entries.length]).toEqual([1, 4]);
  const data = join(server.folder, 'data');
  const { keys } = JSON.parse(readFileSync(join(data, 'keys.json'), 'utf8')) as {
    keys: Record<string, string>;
  };
  const databaseFiles = readdirSync(data).filter((name) => name.startsWith('identity-server.db'));
  expect(databaseFiles.length).toBeGreaterThan(0);
  const places = {
    log: server.lines.join(''),
    agents: JSON.stringify(toJson(ListAgentsResponseSchema, agents)),
    entries: JSON.stringify(toJson(ListEntriesResponseSchema, entries)),
    database: databaseFiles.map((name) => readFileSync(join(data, name), 'latin1')).join(''),
  };
  const ownKey = agent.privateKey.export({ type: 'pkcs8', format: 'der' });
  const secrets = {
    token,
    unused,
    wrong: 'wrong-token-5d41402a',
    csr: Buffer.from(csr).toString('base64').slice(0, 60),
    ownKey: ownKey.toString('base64').slice(40, 90),
    ownKeyBytes: ownKey.subarray(36, 68).toString('latin1'),
    ...Object.fromEntries(
      Object.entries(keys).flatMap(([name, base64]) => [
        [name, base64.slice(40, 90)],
        [`${name} bytes`, Buffer.from(base64, 'base64').subarray(36, 68).toString('latin1')],
      ]),
    ),
  };
  for (const [place, text] of Object.entries(places)) {
    for (const [secret, value] of Object.entries(secrets)) {
      expect(`${secret} in ${place}: ${text.includes(value)}`).toBe(`${secret} in ${place}: false`);
    }
  }
  // The search finds what is there: the digest, by which the agent is named.
  const digest = createHash('sha256').update(token).digest('hex');
  expect(agent.path).toBe(`/spire/agent/join_token/${digest.slice(0, 32)}`);
  for (const text of [places.log, places.agents, places.database])
    expect(text).toContain(digest.slice(0, 32));
});

test('one line a call: who, what, how, how long, and an ID', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  await failureOf((await server.connect(agent)).unary(Agent.method.listAgents, {}));
  const calls = server.lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'call');
  expect(calls.map(({ path, caller, code }) => [path.split('/').at(-1), caller, code])).toEqual([
    ['CreateJoinToken', 'local', 'OK'],
    ['GetBundle', 'local', 'OK'],
    ['AttestAgent', 'anonymous', 'OK'],
    ['GetBundle', 'local', 'OK'],
    ['ListAgents', `spiffe://example.org${agent.path}`, 'PERMISSION_DENIED'],
  ]);
  for (const call of calls) {
    expect(Object.keys(call).toSorted().join()).toBe(
      'caller,code,level,ms,msg,name,path,pid,request_id,time',
    );
  }
  expect(new Set(calls.map(({ request_id }) => request_id)).size).toBe(calls.length);
});
