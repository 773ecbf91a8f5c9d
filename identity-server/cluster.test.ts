// Several servers on one PostgreSQL, and what they do when it is gone: with a real database that is killed, restored and
// cut off.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Agent } from '../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { GrpcClient } from '../sdk/grpc/client.ts';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { HAS_ACCOUNT } from '../test/support/account.ts';
import {
  startPostgres,
  temporaryFolder,
  TEST_PASSWORD,
  TEST_USER,
  type TestDatabaseServer,
} from '../test/support/databases.ts';
import { eventually } from '../test/support/eventually.ts';
import { startRelay, type Relay } from '../test/support/relay.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from './testing.ts';

let postgres: TestDatabaseServer;
let relay: Relay;
let stack: AsyncDisposableStack;
let database: Record<string, unknown>;
beforeAll(async () => {
  if (HAS_ACCOUNT) postgres = await startPostgres();
}, 60_000);
afterAll(() => postgres?.[Symbol.asyncDispose](), 60_000);
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  if (!HAS_ACCOUNT) return;
  const password = join(postgres.folder, 'client-password');
  writeFileSync(password, `${TEST_PASSWORD}\n`);
  relay = stack.use(await startRelay(postgres.port));
  database = {
    type: 'postgres',
    host: '127.0.0.1',
    port: postgres.port,
    user: TEST_USER,
    name: await postgres.createDatabase(),
    password_file: password,
    tls: 'off',
  };
});
afterEach(() => stack.disposeAsync(), 60_000);

/** A server, directly on the database or behind the relay. */
async function start(over: Record<string, unknown> = {}, behindRelay = false): Promise<TestServer> {
  const config = {
    authority_publish_delay: '1s',
    ...over,
    database: behindRelay ? { ...database, port: relay.port } : database,
  };
  return stack.use(await startTestServer({ config }));
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

async function sign(client: GrpcClient, entryId: string): Promise<X509Certificate> {
  const { results } = await client.unary(
    SVID.method.batchNewX509SVID,
    { params: [{ entryId, csr: createCsr(privateKey) }] },
    { timeout: 20_000 },
  );
  const { status, svid } = results[0]!;
  if (status!.code !== 0) throw new Error(status!.message);
  return new X509Certificate(svid!.certChain[0]!);
}

const rootsOf = async ({ local }: TestServer) =>
  (await local.unary(Bundle.method.getBundle, {})).x509Authorities.map(
    ({ asn1 }) => new X509Certificate(asn1),
  );

const renew = (client: GrpcClient) =>
  failureOf(
    client.unary(Agent.method.renewAgent, { params: { csr: createCsr(privateKey) } }, { timeout: 30_000 }),
  );

const ban = ({ local }: TestServer, path: string) =>
  local.unary(Agent.method.banAgent, { id: { trustDomain: TRUST_DOMAIN, path } });

describe.skipIf(!HAS_ACCOUNT)('several servers', () => {
  test('share entries and agents, and each signs by its own authority, all of them in the bundle', async () => {
    const one = await start();
    const started = performance.now();
    const other = await start();
    // It joined a server that signs, so that it waited.
    expect(performance.now() - started).toBeGreaterThan(1_000);
    await eventually(async () => (await rootsOf(one)).length === 2);

    const agent = await one.attest();
    const entry = { parent: agent.path, path: '/web', selector: 'unix:uid:1' };
    const [viaOne, viaOther] = [await one.connect(agent), await other.connect(agent)];
    // The agent and its entry came to be on the one; the other knows both within a moment.
    const id = await one.register(entry);
    const registered = performance.now();
    await eventually(async () => (await failureOf(sign(viaOther, id))) === 'OK', { timeout: 2_000 });
    expect(performance.now() - registered).toBeLessThan(1_000);

    const roots = await rootsOf(other);
    const signers = [await sign(viaOne, id), await sign(viaOther, id)].map((svid) =>
      roots.findIndex((root) => svid.checkIssued(root) && svid.verify(root.publicKey)),
    );
    expect(signers.toSorted((left, right) => left - right)).toEqual([0, 1]);

    // A ban on one ends the agent on both.
    await ban(one, agent.path);
    await eventually(async () => (await failureOf(sign(viaOther, id))).startsWith('PERMISSION_DENIED'), {
      timeout: 2_000,
    });
  });

  test('can all start for the first time at once', async () => {
    const servers = await Promise.all([start(), start(), start()]);
    for (const server of servers) {
      await eventually(async () => (await rootsOf(server)).length === 3, { timeout: 5_000 });
    }
    const agent = await servers[0].attest();
    const id = await servers[1].register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
    const client = await servers[2].connect(agent);
    await eventually(async () => (await failureOf(sign(client, id))) === 'OK', { timeout: 5_000 });
  });

  test('a server keeps its name and its authority over a restart, and does not wait again', async () => {
    await start();
    const folder = temporaryFolder();
    const config = { authority_publish_delay: '1s', database };
    const before = await startTestServer({ config, folder });
    const roots = (await rootsOf(before)).map(({ fingerprint256 }) => fingerprint256);
    await before[Symbol.asyncDispose]();
    const started = performance.now();
    const after = stack.use(await startTestServer({ config, folder }));
    expect(performance.now() - started).toBeLessThan(1_000);
    expect((await rootsOf(after)).map(({ fingerprint256 }) => fingerprint256)).toEqual(roots);
  });
});

describe.skipIf(!HAS_ACCOUNT)('a server without its database', () => {
  test('signs for established agents for a while, writes nothing, and recovers by itself', async () => {
    const server = await start({ max_staleness: '4s' });
    const agent = await server.attest();
    const id = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
    const client = await server.connect(agent);
    await sign(client, id);

    await postgres.kill();
    const killed = performance.now();
    await sign(client, id);
    expect(await renew(client)).toBe('UNAVAILABLE: the database cannot be reached');
    const entry = { parent: agent.path, path: '/late', selector: 'unix:uid:2' };
    expect(await failureOf(server.register(entry))).toBe('UNAVAILABLE: the database cannot be reached');
    // A token that cannot be looked up is not a wrong one: the node tries again.
    expect(await failureOf(server.attest('a-token'))).toBe('UNAVAILABLE: the database cannot be reached');
    expect((await server.local.unary(Entry.method.listEntries, {})).entries).toHaveLength(1);
    const jwt = client.unary(SVID.method.newJWTSVID, { entryId: id, audience: ['a'] });
    expect(await failureOf(jwt)).toBe('OK');
    await sign(client, id);
    const refusal = await eventually(
      async () => {
        const failure = await failureOf(sign(client, id));
        return failure !== 'OK' && failure;
      },
      { timeout: 15_000 },
    );
    expect(performance.now() - killed).toBeGreaterThan(3_500);
    expect(refusal).toMatch(
      /^UNAVAILABLE: the database has not been reached for \d+ s \(max_staleness is 4 s\): a revocation may have been missed$/,
    );

    await postgres.start();
    await eventually(async () => (await failureOf(sign(client, id))) === 'OK', { timeout: 15_000 });
    expect(await renew(client)).toBe('OK');
    await server.register(entry);
    expect(server.lines.filter((line) => line.includes('the change log cannot be read'))).toHaveLength(1);
  }, 60_000);

  test.each(['refused', 'silent'] as const)(
    'cut off (%s), it misses a ban no longer than max_staleness',
    async (mode) => {
      const free = await start();
      const cut = await start({ max_staleness: '3s' }, true);
      const agent = await free.attest();
      const id = await free.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
      const client = await cut.connect(agent);
      await eventually(async () => (await failureOf(sign(client, id))) === 'OK');

      relay.set(mode);
      const from = performance.now();
      await ban(free, agent.path);
      // Nobody told it: it goes on, but not for long.
      await sign(client, id);
      const refusal = await eventually(
        async () => {
          const failure = await failureOf(sign(client, id));
          return failure !== 'OK' && failure;
        },
        { timeout: 15_000 },
      );
      expect(performance.now() - from).toBeLessThan(6_000);
      expect(refusal).toMatch(/^UNAVAILABLE: .*a revocation may have been missed$/);

      relay.set('open');
      await eventually(async () => (await failureOf(sign(client, id))).startsWith('PERMISSION_DENIED'), {
        timeout: 45_000,
      });
    },
    90_000,
  );

  test('one that is cut off in the middle of a write does not keep the others from writing', async () => {
    const free = await start();
    const cut = await start({}, true);
    const entries = (count: number, name: string) =>
      Array.from({ length: count }, (_, index) => ({
        parentId: { trustDomain: TRUST_DOMAIN, path: '/n' },
        spiffeId: { trustDomain: TRUST_DOMAIN, path: `/${name}/${index}` },
        selectors: [{ type: 'unix', value: 'uid:1' }],
      }));
    const writing = failureOf(
      cut.local.unary(Entry.method.batchCreateEntry, { entries: entries(3_000, 'cut') }, { timeout: 40_000 }),
    );
    await new Promise((resolve) => setTimeout(resolve, 150));
    relay.set('silent');
    const { results } = await free.local.unary(
      Entry.method.batchCreateEntry,
      { entries: entries(1, 'free') },
      { timeout: 30_000 },
    );
    expect(results[0]!.status!.code).toBe(0);
    expect(await writing).toMatch(/^(OK|UNAVAILABLE)/);
  }, 90_000);
});
