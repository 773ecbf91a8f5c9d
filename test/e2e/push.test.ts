// The agent on the server's stream of changes: with an interval of an hour, whatever it learns it was told.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startTestServer, TRUST_DOMAIN, type TestServer } from '../../identity-server/testing.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { runWorkloadAgent } from '../../workload-agent/agent.ts';
import { workloadAgentConfigSchema } from '../../workload-agent/config.ts';
import {
  capturedLog,
  eventually,
  fetchSvids,
  unixClient,
  watchSvids,
} from '../../workload-agent/testing/support.ts';

const running: { controller: AbortController; done: Promise<void> }[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const { controller } of running) controller.abort();
  await Promise.allSettled(running.splice(0).map(({ done }) => done));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function startAgent(server: TestServer) {
  const folder = mkdtempSync(join(tmpdir(), 'sigil-push-'));
  folders.push(folder);
  const { x509Authorities } = await server.local.unary(Bundle.method.getBundle, {});
  const { value } = await server.local.unary(Agent.method.createJoinToken, { ttl: 60 });
  writeFileSync(join(folder, 'token'), value);
  writeFileSync(
    join(folder, 'bundle.pem'),
    pemOf(
      'CERTIFICATE',
      x509Authorities.map(({ asn1 }) => asn1),
    ),
  );
  const config = workloadAgentConfigSchema.parse({
    trust_domain: TRUST_DOMAIN,
    data_dir: join(folder, 'data'),
    server: `127.0.0.1:${server.server.port}`,
    trust_bundle_file: join(folder, 'bundle.pem'),
    join_token_file: join(folder, 'token'),
    sync_interval: '1h',
  });
  const controller = new AbortController();
  const { log, lines } = capturedLog();
  const done = runWorkloadAgent(config, { signal: controller.signal, log });
  done.catch(() => {});
  running.push({ controller, done });
  await eventually(() => lines.some((line) => line.includes('"ready"')), 'ready');
  const { agents } = await server.local.unary(Agent.method.listAgents, {});
  return { id: agents.at(-1)!.id!, socket: join(folder, 'data/public/api.sock'), lines };
}

const create = (server: TestServer, parent: string, path: string) =>
  server.register({ parent, path, selector: `unix:uid:${process.getuid!()}` });

test('is told within milliseconds what was created, changed and deleted', async () => {
  await using server = await startTestServer();
  const agent = await startAgent(server);
  await create(server, agent.id.path, '/first');
  using client = unixClient(agent.socket);
  await eventually(async () => (await fetchSvids(client).catch(() => undefined))?.svids.length, 'the first');
  const stream = watchSvids(client);
  const names = async () => (await stream.next()).value!.svids.map(({ spiffeId }) => spiffeId).toSorted();
  const name = (path: string) => `spiffe://${TRUST_DOMAIN}${path}`;
  expect(await names()).toEqual([name('/first')]);
  const began = performance.now();
  const second = await create(server, agent.id.path, '/second');
  expect(await names()).toEqual([name('/first'), name('/second')]);
  // The pace of a polling agent would be seconds.
  expect(performance.now() - began).toBeLessThan(1_000);
  await server.local.unary(Entry.method.batchDeleteEntry, { ids: [second] });
  expect(await names()).toEqual([name('/first')]);
  await stream.return(undefined);
});

test('a caller that is faster than the stream waits for it, and is served', async () => {
  await using server = await startTestServer();
  const agent = await startAgent(server);
  using client = unixClient(agent.socket);
  await create(server, agent.id.path, '/new');
  expect((await fetchSvids(client)).svids).toHaveLength(1);
});

test('a ban is acted upon at once', async () => {
  await using server = await startTestServer();
  const agent = await startAgent(server);
  await create(server, agent.id.path, '/web');
  using client = unixClient(agent.socket);
  const stream = watchSvids(client);
  await stream.next();
  await server.local.unary(Agent.method.banAgent, { id: agent.id });
  await expect(stream.next()).rejects.toMatchObject({ code: 14 });
});

test('comes back after the server was away, and has what happened meanwhile', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sigil-push-server-'));
  folders.push(folder);
  let port: number;
  let agent: Awaited<ReturnType<typeof startAgent>>;
  {
    await using server = await startTestServer({ folder });
    port = server.server.port;
    agent = await startAgent(server);
    await create(server, agent.id.path, '/kept');
    await eventually(() => agent.lines.some((line) => line.includes('/kept')), 'the first SVID');
  }
  await using server = await startTestServer({ folder, config: { listen: `127.0.0.1:${port}` } });
  await create(server, agent.id.path, '/later');
  await eventually(() => agent.lines.some((line) => line.includes('/later')), 'the later SVID');
  using client = unixClient(agent.socket);
  expect((await fetchSvids(client)).svids).toHaveLength(2);
  // It went on from where it stood: what it had was not fetched again.
  expect(
    agent.lines.filter((line) => line.includes('fetched an SVID') && line.includes('/kept')),
  ).toHaveLength(1);
}, 30_000);
