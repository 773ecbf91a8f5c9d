import { Buffer } from 'node:buffer';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Logger } from '../daemon/log.ts';
import { VERSION } from '../daemon/version.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../sdk/api/gen/spire/api/types/status_pb.ts';
import { pemOf } from '../sdk/x509-svid/pem.ts';
import { parseX509Svid } from '../sdk/x509-svid/x509-svid.ts';
import { testAuthority, type TestAuthority } from '../test/support/authority.ts';
import { runWorkloadAgent } from './agent.ts';
import { workloadAgentConfigSchema } from './config.ts';
import { startTestServer, testServerState, type TestEntry } from './testing/server.ts';
import {
  capturedLog,
  eventually,
  fetchSvids,
  temporaryFolder,
  unixClient,
  watchSvids,
} from './testing/support.ts';

const ownEntry = (id: string, path: string, over: object = {}): TestEntry => ({
  id,
  spiffeId: { trustDomain: 'example.org', path },
  selectors: [{ type: 'unix', value: `uid:${process.getuid!()}` }],
  createdAt: 1n,
  revisionNumber: 0n,
  ...over,
});

// Bun's HTTP/2 server does not send the trailers of a stream that ends idle. The agent itself runs on Node.
const isBun = process.versions['bun'] !== undefined;

type Folder = ReturnType<typeof temporaryFolder>;
let running: { controller: AbortController; done: Promise<void> }[] = [];

function startAgent(folder: Folder, port: number, log: Logger, over: Record<string, unknown> = {}) {
  const controller = new AbortController();
  const config = workloadAgentConfigSchema.parse({
    trust_domain: 'example.org',
    data_dir: folder.file('data'),
    server: `127.0.0.1:${port}`,
    trust_bundle_file: folder.file('bundle.pem'),
    join_token_file: folder.file('token'),
    sync_interval: '100ms',
    ...over,
  });
  const agent = { controller, done: runWorkloadAgent(config, { signal: controller.signal, log }) };
  agent.done.catch(() => {});
  running.push(agent);
  return {
    ...agent,
    socket: folder.file('data/public/api.sock'),
    state: folder.file('data/agent-state.json'),
  };
}

function bootstrap(authority: TestAuthority, token = 'token-1'): Folder {
  const folder = temporaryFolder();
  writeFileSync(folder.file('bundle.pem'), pemOf('CERTIFICATE', [authority.certificate.der]));
  writeFileSync(folder.file('token'), `${token}\n`);
  return folder;
}

const said = (lines: readonly string[], text: string) => lines.some((line) => line.includes(text));

afterEach(async () => {
  for (const { controller } of running) controller.abort();
  await Promise.allSettled(running.map(({ done }) => done));
  running = [];
});

describe('an agent', () => {
  test('attests, serves the Workload API, rotates, and leaves nothing behind', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(authority, testServerState({ svidLifetime: 3_000 }));
    server.state.entries.set('a', ownEntry('a', '/web', { hint: 'web' }));
    const { log, lines } = capturedLog();
    const agent = startAgent(folder, server.port, log);
    await eventually(() => said(lines, '"ready"'), 'ready');
    using client = unixClient(agent.socket);
    const serials: string[] = [];
    for await (const message of watchSvids(client)) {
      const [svid] = message.svids;
      expect(message.svids.map((each) => each.hint)).toEqual(['web']);
      const parsed = parseX509Svid(svid!.x509Svid, svid!.x509SvidKey);
      expect(parsed.id).toBe('spiffe://example.org/web');
      expect(parsed.notAfter).toBeGreaterThan(Date.now());
      expect(new Uint8Array(svid!.bundle)).toEqual(new Uint8Array(authority.certificate.der));
      serials.push(parsed.serial);
      if (serials.length === 3) break;
    }
    expect(new Set(serials).size).toBe(3);
    expect(server.state.versions).toEqual([
      `spiffe://example.org/spire/agent/join_token/token-1 sigil ${VERSION}`,
    ]);
    expect(statSync(agent.state).mode & 0o777).toBe(0o600);
    expect(statSync(agent.socket).mode & 0o777).toBe(0o777);
    const begin = performance.now();
    agent.controller.abort();
    await agent.done;
    expect(performance.now() - begin).toBeLessThan(1_000);
    expect(existsSync(agent.socket)).toBe(false);
    expect(existsSync(folder.file('data/private/admin.sock'))).toBe(false);
  });

  test('puts no token and no key into its log, at any level, nor the token into its state', async () => {
    const authority = await testAuthority();
    const token = 'b54c7a9e-secret-join-token';
    using folder = bootstrap(authority, token);
    // The first attempt is refused by a server that echoes the token; the second is not.
    using server = await startTestServer(
      authority,
      testServerState({ tokens: new Set(), svidLifetime: 2_000 }),
    );
    server.state.entries.set('a', ownEntry('a', '/web'));
    const { log, lines } = capturedLog('trace');
    const agent = startAgent(folder, server.port, log);
    await eventually(() => said(lines, 'does not exist'), 'the refusal');
    server.state.tokens.add(token);
    await eventually(() => said(lines, '"ready"'), 'ready');
    using client = unixClient(agent.socket);
    const keys: Uint8Array[] = [];
    for await (const { svids } of watchSvids(client)) {
      keys.push(svids[0]!.x509SvidKey);
      if (keys.length === 2) break;
    }
    const state = readFileSync(agent.state, 'utf8');
    keys.push(Buffer.from((JSON.parse(state) as { svid_key: string }).svid_key, 'base64'));
    const text = lines.join('');
    expect(text).not.toContain(token);
    expect(state).not.toContain(token);
    for (const key of keys) {
      // The P-256 scalar, of a length and at a place that base64 of the whole would show alike.
      const secret = Buffer.from(key).subarray(36, 66);
      for (const encoding of ['hex', 'base64', 'latin1'] as const)
        expect(text).not.toContain(secret.toString(encoding));
    }
    expect(text).not.toContain('PRIVATE KEY');
  });

  test('goes on with its SVID after a restart, without a token', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(authority);
    server.state.entries.set('a', ownEntry('a', '/web'));
    const first = capturedLog();
    const agent = startAgent(folder, server.port, first.log);
    await eventually(() => said(first.lines, '"ready"'), 'ready');
    agent.controller.abort();
    await agent.done;
    const second = capturedLog();
    const again = startAgent(folder, server.port, second.log);
    await eventually(() => said(second.lines, '"ready"'), 'ready again');
    expect(server.state.calls.filter((call) => call.startsWith('AttestAgent'))).toEqual(['AttestAgent OK']);
    using client = unixClient(again.socket);
    expect((await fetchSvids(client)).svids[0]!.spiffeId).toBe('spiffe://example.org/web');
  });

  test('sets a damaged state file aside and attests anew', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(
      authority,
      testServerState({ tokens: new Set(['token-1', 'token-2']) }),
    );
    const first = capturedLog();
    const agent = startAgent(folder, server.port, first.log);
    await eventually(() => said(first.lines, '"ready"'), 'ready');
    agent.controller.abort();
    await agent.done;
    writeFileSync(agent.state, readFileSync(agent.state, 'utf8').slice(0, 300));
    writeFileSync(folder.file('token'), 'token-2');
    const second = capturedLog();
    startAgent(folder, server.port, second.log);
    await eventually(() => said(second.lines, '"ready"'), 'ready again');
    expect(said(second.lines, 'set aside')).toBe(true);
    expect(existsSync(`${agent.state}.damaged`)).toBe(true);
  });

  test('renews its own SVID at half of its life, and heals when the server comes back', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    const state = testServerState({ agentLifetime: 4_000, svidLifetime: 3_000 });
    state.entries.set('a', ownEntry('a', '/web'));
    let port: number;
    {
      using server = await startTestServer(authority, state);
      port = server.port;
      const { log, lines } = capturedLog();
      startAgent(folder, port, log);
      await eventually(() => said(lines, 'renewed the SVID of this agent'), 'the renewal');
    }
    const calls = state.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    using _server = await startTestServer(authority, state, port);
    await eventually(() => state.calls.length > calls + 3, 'a sync after the outage');
    expect(state.calls.filter((call) => call.startsWith('AttestAgent'))).toEqual(['AttestAgent OK']);
  });

  test.skipIf(isBun)(
    'withdraws what it serves when it is banned, says what to do, and takes a new token',
    async () => {
      const authority = await testAuthority();
      using folder = bootstrap(authority);
      using server = await startTestServer(authority);
      server.state.entries.set('a', ownEntry('a', '/web'));
      const { log, lines } = capturedLog();
      const agent = startAgent(folder, server.port, log);
      await eventually(() => said(lines, '"ready"'), 'ready');
      using client = unixClient(agent.socket);
      const stream = watchSvids(client);
      await stream.next();
      server.state.denial = Reason.AGENT_BANNED;
      await expect(stream.next()).rejects.toMatchObject({
        code: 14,
        details: expect.stringContaining('turned away'),
      });
      expect(said(lines, 'create a new one on the server and write it to')).toBe(true);
      server.state.denial = undefined;
      server.state.tokens.add('token-2');
      writeFileSync(folder.file('token'), 'token-2');
      await eventually(
        async () => (await fetchSvids(client).catch(() => undefined))?.svids.length,
        'serving again',
      );
    },
  );

  test('renews what hangs on an authority that is tainted, its own SVID too, at once and once', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(authority);
    server.state.entries.set('a', ownEntry('a', '/web'));
    const { log, lines } = capturedLog();
    const agent = startAgent(folder, server.port, log);
    await eventually(() => said(lines, '"ready"'), 'ready');
    using client = unixClient(agent.socket);
    const serial = async () => {
      const [svid] = (await fetchSvids(client)).svids;
      return parseX509Svid(svid!.x509Svid, svid!.x509SvidKey).serial;
    };
    const before = await serial();
    server.state.tainted = true;
    await eventually(async () => (await serial()) !== before, 'another SVID');
    await eventually(() => said(lines, 'renewed the SVID of this agent'), 'the own renewal');
    // This server goes on issuing under the same authority: it is not asked again and again.
    const syncs = server.state.calls.length;
    await eventually(() => server.state.calls.length > syncs + 12, 'further syncs');
    const asked = (method: string) => server.state.calls.filter((call) => call === `${method} OK`);
    expect(asked('BatchNewX509SVID')).toHaveLength(2);
    expect(asked('RenewAgent')).toHaveLength(1);
  });

  test('attests again, instead of renewing, where the server lets it', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    const state = testServerState({ agentLifetime: 2_000, reattestable: true });
    using server = await startTestServer(authority, state);
    const { log, lines } = capturedLog();
    startAgent(folder, server.port, log);
    const attested = () => lines.filter((line) => line.includes('attested this node')).length;
    await eventually(() => attested() >= 3, 'three attestations');
    expect(server.state.calls.filter((call) => call.startsWith('RenewAgent'))).toEqual([]);
    expect(lines.filter((line) => /turned this agent away|could not/.test(line))).toEqual([]);
  });

  test('keeps serving while the server only wants it to attest again', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(authority);
    server.state.entries.set('a', ownEntry('a', '/web'));
    const { log, lines } = capturedLog();
    const agent = startAgent(folder, server.port, log);
    await eventually(() => said(lines, '"ready"'), 'ready');
    server.state.denial = Reason.AGENT_MUST_REATTEST;
    await eventually(() => said(lines, 'turned this agent away'), 'the denial');
    using client = unixClient(agent.socket);
    expect((await fetchSvids(client)).svids).toHaveLength(1);
  });

  test.skipIf(isBun)('follows entries as they come, change and go, in pages', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(authority, testServerState({ pageSize: 2 }));
    for (const id of ['a', 'b', 'c', 'd', 'e']) server.state.entries.set(id, ownEntry(id, `/${id}`));
    const { log, lines } = capturedLog();
    const agent = startAgent(folder, server.port, log);
    await eventually(() => said(lines, '"ready"'), 'ready');
    using client = unixClient(agent.socket);
    const stream = watchSvids(client);
    const next = async () =>
      (await stream.next()).value!.svids.map((svid) => svid.spiffeId.split('/').at(-1));
    expect(await next()).toEqual(['a', 'b', 'c', 'd', 'e']);
    server.state.entries.delete('b');
    expect(await next()).toEqual(['a', 'c', 'd', 'e']);
    server.state.entries.set('c', ownEntry('c', '/c', { revisionNumber: 1n, hint: 'new' }));
    await eventually(async () => (await stream.next()).value!.svids[1]!.hint === 'new', 'the new hint');
    expect(server.state.requestedIds).toEqual([['a', 'b', 'c', 'd', 'e'], ['c']]);
    server.state.entries.clear();
    await expect(eventually(async () => (await stream.next()).done, 'the end')).rejects.toMatchObject({
      code: 7,
    });
    await expect(fetchSvids(client)).rejects.toMatchObject({ code: 7, details: 'no identity issued' });
    await eventually(() => said(lines, 'no entry has only selectors'), 'the log line');
    const line = JSON.parse(lines.find((text) => text.includes('no entry has only selectors'))!) as Record<
      string,
      unknown
    >;
    expect(line['selectors']).toContain(`unix:uid:${process.getuid!()}`);
    expect(line['caller']).toMatchObject({ pid: process.pid, uid: process.getuid!() });
  });

  test('hands out the bundles that entries federate with, and lives without the unknown ones', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    using server = await startTestServer(authority);
    server.state.entries.set('a', ownEntry('a', '/web', { federatesWith: ['partner.test', 'absent.test'] }));
    const { log, lines } = capturedLog();
    const agent = startAgent(folder, server.port, log);
    await eventually(() => said(lines, '"ready"'), 'ready');
    using client = unixClient(agent.socket);
    expect(Object.keys((await fetchSvids(client)).federatedBundles)).toEqual(['spiffe://partner.test']);
  });
});

describe('a server that is not the right one', () => {
  test('of another trust domain is refused, and the log names it', async () => {
    const [authority, stranger] = [await testAuthority(), await testAuthority('evil.test')];
    using folder = bootstrap(authority);
    using server = await startTestServer(stranger);
    const { log, lines } = capturedLog();
    startAgent(folder, server.port, log);
    await eventually(
      () => said(lines, 'belongs to the trust domain evil.test, and this agent to example.org'),
      'the refusal',
    );
    expect(server.state.calls).toEqual([]);
  });

  test('of the same name but another authority is refused', async () => {
    const [authority, impostor] = [await testAuthority(), await testAuthority()];
    using folder = bootstrap(authority);
    using server = await startTestServer(impostor);
    const { log, lines } = capturedLog();
    startAgent(folder, server.port, log);
    await eventually(() => said(lines, 'no authority in this agent'), 'the refusal');
    expect(said(lines, 'says that it belongs to the trust domain example.org')).toBe(true);
    expect(server.state.calls).toEqual([]);
  });

  test.each(['impostor', 'workload of the same trust domain'])('gets not one byte: %s', async (kind) => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    const svid = await (kind === 'impostor' ? await testAuthority() : authority).issue(
      kind === 'impostor' ? '/spire/server' : '/some/workload',
    );
    const identity = {
      cert: pemOf('CERTIFICATE', svid.certificates),
      key: pemOf('PRIVATE KEY', [svid.privateKey]),
    };
    let connections = 0;
    let bytes = 0;
    const listener = createServer({ ...identity, ALPNProtocols: ['h2'], minVersion: 'TLSv1.2' }, (socket) => {
      socket.on('data', (chunk: Uint8Array) => (bytes += chunk.length)).on('error', () => {});
    });
    // Counted by TCP: the agent may hang up before the handshake is over on this side.
    listener.on('connection', () => connections++).on('tlsClientError', () => {});
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { log, lines } = capturedLog();
    startAgent(folder, (listener.address() as AddressInfo).port, log);
    await eventually(() => connections >= 3 && said(lines, 'could not sync'), 'three attempts');
    expect(bytes).toBe(0);
    listener.close();
  });

  test('insecure bootstrap takes the bundle from the first server and keeps to it', async () => {
    const authority = await testAuthority();
    using folder = bootstrap(authority);
    const { log, lines } = capturedLog();
    let port: number;
    const state = testServerState();
    {
      using server = await startTestServer(authority, state);
      port = server.port;
      startAgent(folder, port, log, { trust_bundle_file: undefined, insecure_bootstrap: true });
      await eventually(() => said(lines, '"ready"'), 'ready');
    }
    const other = testServerState();
    using _server = await startTestServer(await testAuthority(), other, port);
    await eventually(() => said(lines, 'no authority in this agent'), 'the refusal');
    expect(other.calls).toEqual([]);
  });
});
