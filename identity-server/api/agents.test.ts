import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ServiceError } from '@grpc/grpc-js';
import { generateKeyPairSync } from 'node:crypto';
import type { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { StatusSchema } from '../../sdk/api/gen/google/rpc/status_pb.ts';
import {
  PermissionDeniedDetailsSchema,
  PermissionDeniedDetails_Reason as Reason,
} from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestIdentity } from '../testing.ts';

const idOf = ({ path }: { path: string }) => ({ trustDomain: TRUST_DOMAIN, path });

// The reason in the details of a denial, as an agent reads it.
async function reasonOf(call: Promise<unknown>): Promise<string> {
  const error = (await call.then(
    () => undefined,
    (error: unknown) => error,
  )) as ServiceError | undefined;
  const [bytes] = error?.metadata.get('grpc-status-details-bin') ?? [];
  if (bytes === undefined) return error === undefined ? 'allowed' : 'no reason';
  const { details } = fromBinary(StatusSchema, bytes as Buffer);
  const { reason } = anyUnpack(details[0]!, PermissionDeniedDetailsSchema)!;
  return Object.entries(Reason).find(([, number]) => number === reason)![0];
}

async function renew(client: GrpcClient): Promise<TestIdentity> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { svid } = await client.unary(Agent.method.renewAgent, { params: { csr: createCsr(privateKey) } });
  return { privateKey, chain: svid!.certChain };
}

const sync = (client: GrpcClient) => client.unary(Entry.method.getAuthorizedEntries, {});

describe('RenewAgent', () => {
  test('the old SVID works until the new one was used, and never after', async () => {
    await using server = await startTestServer();
    const first = await server.connect(await server.attest());
    const lost = await renew(first);
    const second = await server.connect(await renew(first));
    await sync(first);
    await sync(second);
    await sync(second);
    expect(await reasonOf(sync(first))).toBe('AGENT_NOT_ACTIVE');
    // An answer that was overtaken by a later one is of no use to anybody.
    expect(await reasonOf(sync(await server.connect(lost)))).toBe('AGENT_NOT_ACTIVE');
  });

  test('wants a CSR', async () => {
    await using server = await startTestServer();
    const client = await server.connect(await server.attest());
    expect(await failureOf(client.unary(Agent.method.renewAgent, { params: {} }))).toBe(
      'INVALID_ARGUMENT: missing CSR',
    );
  });
});

describe('the agent check', () => {
  test('a banned agent is refused with the reason, on the connection that it has', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const client = await server.connect(agent);
    await sync(client);
    await server.local.unary(Agent.method.banAgent, { id: idOf(agent) });
    expect(await reasonOf(sync(client))).toBe('AGENT_BANNED');
    const { banned } = await server.local.unary(Agent.method.getAgent, { id: idOf(agent) });
    expect(banned).toBe(true);
  });

  test('an evicted agent must attest again', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const client = await server.connect(agent);
    await server.local.unary(Agent.method.deleteAgent, { id: idOf(agent) });
    expect(await reasonOf(sync(client))).toBe('AGENT_NOT_ATTESTED');
    expect(await failureOf(server.local.unary(Agent.method.deleteAgent, { id: idOf(agent) }))).toBe(
      'NOT_FOUND: agent not found',
    );
  });

  test('an SVID that expires while its connection stands is refused', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now, config: { agent_ttl: '1m' } });
    const client = await server.connect(await server.attest());
    await sync(client);
    now += 61_000;
    expect(await reasonOf(sync(client))).toBe('AGENT_EXPIRED');
  });

  test('the local socket cannot act as an agent, and a stranger cannot act as an operator', async () => {
    await using server = await startTestServer();
    expect(await failureOf(sync(server.local))).toBe(
      'PERMISSION_DENIED: authorization denied for method /spire.api.server.entry.v1.Entry/GetAuthorizedEntries',
    );
    const anonymous = await server.connect();
    expect(await failureOf(anonymous.unary(Agent.method.listAgents, {}))).toMatch(/^PERMISSION_DENIED/);
    const agent = await server.connect(await server.attest());
    expect(await failureOf(agent.unary(Agent.method.createJoinToken, { ttl: 9 }))).toMatch(
      /^PERMISSION_DENIED/,
    );
  });
});

describe('ListAgents', () => {
  test('pages, filters and masks', async () => {
    await using server = await startTestServer();
    const agents = [];
    for (let count = 0; count < 5; count++) agents.push(await server.attest());
    await server.local.unary(Agent.method.banAgent, { id: idOf(agents[1]!) });
    const list = (request: object) => server.local.unary(Agent.method.listAgents, request);
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await list({ pageSize: 2, pageToken, outputMask: {} });
      seen.push(...page.agents.map(({ id }) => id!.path));
      expect(page.agents.every(({ attestationType }) => attestationType === '')).toBe(true);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual(agents.map(({ path }) => path));
    const count = async (filter: object) =>
      (await server.local.unary(Agent.method.countAgents, { filter })).count;
    expect(await count({ byBanned: true })).toBe(1);
    expect(await count({ byBanned: false })).toBe(4);
    expect(await count({ byAttestationType: 'x509pop' })).toBe(0);
    expect(await count({ byExpiresBefore: '2999-01-02 15:04:05 +0200 +02' })).toBe(5);
    expect(await failureOf(list({ filter: { byExpiresBefore: 'soon' } }))).toMatch(/^INVALID_ARGUMENT/);
    expect(await failureOf(list({ pageToken: 'x' }))).toMatch(/^INVALID_ARGUMENT/);
  });

  test('remembers the version that an agent reports', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const client = await server.connect(agent);
    await client.unary(Agent.method.postStatus, { agentVersion: '1.2.3' });
    expect((await server.local.unary(Agent.method.getAgent, { id: idOf(agent) })).agentVersion).toBe('1.2.3');
    const long = client.unary(Agent.method.postStatus, { agentVersion: 'x'.repeat(256) });
    expect(await failureOf(long)).toBe('INVALID_ARGUMENT: agent version is too long');
  });
});
