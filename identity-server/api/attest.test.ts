import { Buffer } from 'node:buffer';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { failureOf, startTestServer, TRUST_DOMAIN } from '../testing.ts';

const USED = 'INVALID_ARGUMENT: failed to attest: join token does not exist or has already been used';

describe('AttestAgent with a join token', () => {
  test('gives an SVID that verifies against the bundle, leaf only', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    expect(agent.path).toMatch(/^\/spire\/agent\/join_token\/[0-9a-f]{32}$/);
    expect(agent.chain).toHaveLength(1);
    const { x509Authorities, sequenceNumber, refreshHint, trustDomain } = await server.local.unary(
      Bundle.method.getBundle,
      {},
    );
    expect([trustDomain, sequenceNumber, refreshHint]).toEqual([TRUST_DOMAIN, 2n, 300n]);
    const bundles = x509BundleSet([parseX509Bundle(TRUST_DOMAIN, x509Authorities[0]!.asn1)]);
    expect(verifyX509Svid(agent.chain, bundles).id).toBe(`spiffe://example.org${agent.path}`);
  });

  test('refuses an unknown token and a used one', async () => {
    await using server = await startTestServer();
    expect(await failureOf(server.attest('never-given-out'))).toBe(USED);
    const { value } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60 });
    await server.attest(value);
    expect(await failureOf(server.attest(value))).toBe(USED);
  });

  test('refuses an expired token, and burns it', async () => {
    let now = Date.now();
    await using server = await startTestServer({ now: () => now });
    const { value } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60 });
    now += 60_000;
    expect(await failureOf(server.attest(value))).toBe('INVALID_ARGUMENT: join token expired');
    expect(await failureOf(server.attest(value))).toBe(USED);
  });

  test('of several nodes with one token, one gets in', async () => {
    await using server = await startTestServer();
    const { value } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60 });
    const results = await Promise.all([1, 2, 3, 4].map(() => failureOf(server.attest(value))));
    expect(results.toSorted()).toEqual([USED, USED, USED, 'OK']);
  });

  test('a CSR that cannot be used does not burn the token', async () => {
    await using server = await startTestServer();
    const { value } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60 });
    const foreign = await testAuthority('other.org');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const attestWith = async (csr: Uint8Array) => {
      const client = await server.connect();
      const call = client.bidiStream(Agent.method.attestAgent, { timeout: 10_000 });
      const data = { type: 'join_token', payload: Buffer.from(value) };
      call.send({ step: { case: 'params', value: { data, params: { csr } } } });
      call.close();
      for await (const _ of call.messages);
    };
    expect(await failureOf(attestWith(new Uint8Array(20_000)))).toBe(
      'INVALID_ARGUMENT: the CSR is larger than 16384 bytes',
    );
    expect(await failureOf(attestWith(new Uint8Array([1, 2, 3])))).toMatch(
      /^INVALID_ARGUMENT: malformed CSR/,
    );
    expect(await failureOf(attestWith(createCsr(privateKey, foreign.id('/agent'))))).toBe(
      'INVALID_ARGUMENT: the CSR names an ID that is not of example.org',
    );
    await server.attest(value);
  });

  test.each([
    [undefined, 'missing params'],
    [{}, 'missing attestation data'],
    [{ data: { type: 'join_token', payload: Buffer.from('x') } }, 'missing X509-SVID parameters'],
    [{ data: {}, params: {} }, 'missing CSR'],
    [{ data: {}, params: { csr: Buffer.from('x') } }, 'missing attestation data type'],
    [{ data: { type: 'x' }, params: { csr: Buffer.from('x') } }, 'missing attestation data payload'],
  ])('names what is missing in %j', async (value, problem) => {
    await using server = await startTestServer();
    const client = await server.connect();
    const call = client.bidiStream(Agent.method.attestAgent, { timeout: 10_000 });
    call.send(value === undefined ? {} : { step: { case: 'params', value } });
    call.close();
    expect(await failureOf(call.messages.next())).toBe(`INVALID_ARGUMENT: malformed param: ${problem}`);
  });
});

describe('a client certificate that does not verify', () => {
  test.each(['other.org', TRUST_DOMAIN])('ends the connection: signed by a stranger for %s', async (name) => {
    await using server = await startTestServer();
    const stranger = await testAuthority(name);
    const svid = await stranger.issue('/spire/agent/join_token/x');
    const privateKey = createPrivateKey({
      key: Buffer.from(svid.privateKey),
      format: 'der',
      type: 'pkcs8',
    });
    const client = await server.connect({ privateKey, chain: svid.certificates });
    // Also of a method that needs no identity: it is never treated as anonymous.
    expect(await failureOf(client.unary(Bundle.method.getBundle, {}, { timeout: 5_000 }))).toMatch(
      /^(UNAVAILABLE|DEADLINE_EXCEEDED)/,
    );
    expect(server.lines.some((line) => line.includes('the client certificate does not verify'))).toBe(true);
  });
});

describe('CreateJoinToken', () => {
  test('wants a TTL, and refuses a token that exists', async () => {
    await using server = await startTestServer();
    const create = (request: { ttl: number; token?: string }) =>
      server.local.unary(Agent.method.createJoinToken, request);
    expect(await failureOf(create({ ttl: 0 }))).toBe(
      'INVALID_ARGUMENT: ttl is required, you must provide one',
    );
    await create({ ttl: 60, token: 'mine' });
    expect(await failureOf(create({ ttl: 60, token: 'mine' }))).toMatch(/^ALREADY_EXISTS/);
  });

  test('an agent ID becomes an entry below the node, which goes with the node', async () => {
    await using server = await startTestServer();
    const agentId = { trustDomain: TRUST_DOMAIN, path: '/node/1' };
    const { value } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60, agentId });
    const id = await server.register({ parent: '/node/1', path: '/web', selector: 'unix:uid:1' });
    const agent = await server.attest(value);
    const client = await server.connect(agent);
    const { entries } = await client.unary(Entry.method.getAuthorizedEntries, {});
    expect(entries.map(({ spiffeId }) => spiffeId!.path).toSorted()).toEqual(['/node/1', '/web']);
    const alias = entries.find(({ spiffeId }) => spiffeId!.path === '/node/1')!;
    expect(alias.parentId!.path).toBe(agent.path);
    expect(alias.selectors.map(({ type, value }) => `${type}:${value}`)).toEqual([
      `spiffe_id:spiffe://example.org${agent.path}`,
    ]);
    await server.local.unary(Agent.method.deleteAgent, {
      id: { trustDomain: TRUST_DOMAIN, path: agent.path },
    });
    const left = await server.local.unary(Entry.method.listEntries, {});
    expect(left.entries.map((entry) => entry.id)).toEqual([id]);
  });

  test('an entry may name its parent by the token, which is then not kept', async () => {
    await using server = await startTestServer();
    for (const token of ['0123456789abcdef0123456789abcdef', 'a-token']) {
      await server.local.unary(Agent.method.createJoinToken, { ttl: 60, token });
      const parent = `/spire/agent/join_token/${token}`;
      await server.register({ parent, path: '/web', selector: 'unix:uid:1' });
      const agent = await server.attest(token);
      const byParentId = { trustDomain: TRUST_DOMAIN, path: parent };
      const { entries } = await server.local.unary(Entry.method.listEntries, { filter: { byParentId } });
      expect(entries.map(({ parentId }) => parentId!.path)).toEqual([agent.path]);
    }
  });
});

test('the serial in listings is the decimal serial of the certificate', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  const { agents } = await server.local.unary(Agent.method.listAgents, {});
  const { serial, notAfter } = parseCertificate(agent.chain[0]!);
  expect(agents).toHaveLength(1);
  expect(agents[0]).toMatchObject({
    id: { trustDomain: TRUST_DOMAIN, path: agent.path },
    attestationType: 'join_token',
    x509svidSerialNumber: BigInt(`0x${serial}`).toString(),
    x509svidExpiresAt: BigInt(notAfter / 1_000),
    banned: false,
    canReattest: false,
  });
  const pkcs8 = agent.privateKey.export({ type: 'pkcs8', format: 'der' });
  expect(parseX509Svid(agent.chain[0]!, pkcs8).serial).toBe(serial);
});
