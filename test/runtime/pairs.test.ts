// Real mutual TLS between each pair of Node, Bun and Deno: one process serves, another calls, and a Workload API of the
// suite's own rotates their leaves and their CA while requests flow.
import { Buffer } from 'node:buffer';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { testAuthority, type TestAuthority } from '../support/authority.ts';
import { startParty, type Party } from './child.ts';
import { keylessClient, keylessServer, type Outcome } from './keyless-peer.ts';
import { issueThroughIntermediate as issue } from './intermediate.ts';
import type { StaticIdentity } from './party.ts';
import { SuiteWorkloadApi, type Given } from './workload-api.ts';

const RUNTIMES = ['node', 'bun', 'deno'] as const;
const PAIRS = RUNTIMES.flatMap((client) => RUNTIMES.map((server) => ({ client, server })));
/** Requests of each kind that must succeed in each phase before the next begins. */
const REQUESTS = 25;
const SERVER = '/server';
const CLIENT = '/client';

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const identityOf = (svid: X509Svid, authority: TestAuthority): StaticIdentity => ({
  certificates: svid.certificates.map(base64),
  privateKey: base64(svid.privateKey),
  bundle: base64(authority.certificate.der),
});

// The runner is Node; under another one the whole suite would say nothing new.
describe.skipIf('Bun' in globalThis)('runtimes', () => {
  const parties = {} as Record<`${'server' | 'client'}-${(typeof RUNTIMES)[number]}`, Party>;
  let old: TestAuthority;
  let next: TestAuthority;

  beforeAll(async () => {
    [old, next] = await Promise.all([testAuthority(), testAuthority()]);
    for (const runtime of RUNTIMES) {
      parties[`server-${runtime}`] = startParty(runtime);
      parties[`client-${runtime}`] = startParty(runtime);
    }
  });
  afterAll(() => Promise.all(Object.values(parties).map((party) => party.end())));

  async function workload(party: Party, name: string, given: Given) {
    const api = await SuiteWorkloadApi.start(given);
    onTestFinished(() => api.stop());
    await party.open({ source: name, endpoint: api.endpoint });
    const give = async (update: Partial<Given>) => {
      const { svid, bundle } = api.give(update);
      const authorities = bundle.map(({ certificate }) => certificate.serial);
      await party.settled({ source: name, serial: svid.serial, authorities });
    };
    return { give };
  }

  describe.each(PAIRS)('$client calls $server', ({ client: clientRuntime, server: serverRuntime }) => {
    const name = `${clientRuntime}-${serverRuntime}`;
    const pair = () => ({
      client: parties[`client-${clientRuntime}`],
      server: parties[`server-${serverRuntime}`],
    });

    it('loses no request while leaves and the CA rotate; then the old CA is refused', async () => {
      const { client, server } = pair();
      const [serverSide, clientSide] = await Promise.all([
        workload(server, name, { svid: await issue(old, SERVER), bundle: [old] }),
        workload(client, name, { svid: await issue(old, CLIENT), bundle: [old] }),
      ]);
      const port = await server.serve({ server: name, source: name, accept: old.id(CLIENT) });
      await client.flow({ name, source: name, expect: old.id(SERVER), port });
      const flowing = () => client.more({ name, requests: REQUESTS });
      await flowing();
      await serverSide.give({ svid: await issue(old, SERVER) });
      await flowing();
      await clientSide.give({ svid: await issue(old, CLIENT) });
      await flowing();
      await Promise.all([serverSide.give({ bundle: [old, next] }), clientSide.give({ bundle: [old, next] })]);
      await flowing();
      await serverSide.give({ svid: await issue(next, SERVER) });
      await flowing();
      await clientSide.give({ svid: await issue(next, CLIENT) });
      await flowing();
      await Promise.all([serverSide.give({ bundle: [next] }), clientSide.give({ bundle: [next] })]);
      await flowing();
      // Requests go on, and no connection that stands rests on the old CA any more.
      expect((await server.served({ server: name })).authorities).toEqual([next.certificate.serial]);
      const { kept, fresh, lost } = await client.stop({ name });
      expect(lost).toEqual([]);
      expect(kept).toBeGreaterThanOrEqual(7 * REQUESTS);
      expect(fresh).toBeGreaterThanOrEqual(7 * REQUESTS);
      const served = await server.served({ server: name });
      expect(served.requests).toBe(kept + fresh);
      expect(served.refused).toEqual([]);
      // The kept ones were kept: a handful of connections, one for each rotation and for each time the server closed.
      expect(served.connections - fresh).toBeLessThanOrEqual(12);

      // The old CA was withdrawn: a client that still has its SVID of it is refused, and so is such a server.
      const stale = identityOf(await issue(old, CLIENT), next);
      await expect(client.call({ source: stale, expect: old.id(SERVER), port })).rejects.toThrow();
      expect((await server.served({ server: name })).refused).toContain('ERR_SVID_UNTRUSTED');
      const staleServer = { ...identityOf(await issue(old, SERVER), next) };
      const stalePort = await server.serve({
        server: `${name}-stale`,
        source: staleServer,
        accept: old.id(CLIENT),
      });
      await expect(
        client.call({ source: name, expect: old.id(SERVER), port: stalePort }),
      ).rejects.toMatchObject({ code: 'ERR_SVID_UNTRUSTED' });
      await expect(client.call({ source: name, expect: old.id('/other'), port })).rejects.toMatchObject({
        code: 'ERR_SVID_UNEXPECTED_ID',
      });
      expect((await server.served({ server: name })).requests).toBe(kept + fresh);
    });

    it.each([
      ['after expiry', { skew: 1_200_000 }, 'ERR_SVID_EXPIRED'],
      ['after withdrawal', { bundle: 'next' }, 'ERR_SVID_UNTRUSTED'],
    ])('a session is refused %s, resumed or not', async (when, change, verdict) => {
      const { client, server } = pair();
      const id = `${name} ${when}`;
      const source = identityOf(await issue(old, SERVER), old);
      const port = await server.serveTickets({ server: id, source, accept: old.id(CLIENT) });
      // Without an intermediate: in a session that it resumes Node keeps a client's leaf alone, which then leads nowhere.
      const ours = identityOf(await old.issue(CLIENT), old);
      expect((await client.connectRaw({ source: ours, port, replay: false })).answer).toBe('welcome');
      const again = await client.connectRaw({ source: ours, port, replay: true });
      expect(again.answer).toBe('welcome');
      await server.change({
        server: id,
        ...('skew' in change ? { skew: change.skew } : { bundle: base64(next.certificate.der) }),
      });
      const replayed = await client.connectRaw({ source: ours, port, replay: true });
      expect(replayed.answer).toBe('');
      const verdicts = await server.verdicts({ server: id });
      expect(verdicts.map((one) => one.verdict)).toEqual(['accepted', 'accepted', verdict]);
      // Clients on Node and Bun offer the session and every server took it: the verifier judged a resumed connection.
      expect([replayed.resumed, verdicts.at(-1)!.resumed]).toEqual(Array(2).fill(clientRuntime !== 'deno'));
    });

    it('the servers of the SDK resume no session, save on Deno, which has no way to say so', async () => {
      const { client, server } = pair();
      const id = `${name} without tickets`;
      const source = identityOf(await issue(old, SERVER), old);
      const port = await server.serve({ server: id, source, accept: old.id(CLIENT) });
      const ours = identityOf(await issue(old, CLIENT), old);
      await client.connectRaw({ source: ours, port, replay: false });
      const { resumed, answer } = await client.connectRaw({ source: ours, port, replay: true });
      expect(answer).toContain('200 OK');
      expect(resumed).toBe(serverRuntime === 'deno' && clientRuntime !== 'deno');
    });
  });

  describe.each(PAIRS)('$client dials $server', ({ client: clientRuntime, server: serverRuntime }) => {
    it('and refuses a server whose CA was withdrawn, also where its session could be resumed', async () => {
      const client = parties[`client-${clientRuntime}`];
      const server = parties[`server-${serverRuntime}`];
      const name = `${clientRuntime}-${serverRuntime} dialled`;
      const accept = old.id(CLIENT);
      const port = await server.serveTickets({
        server: name,
        source: identityOf(await issue(old, SERVER), old),
        accept,
      });
      const ours = identityOf(await issue(old, CLIENT), old);
      const call = { source: ours, expect: old.id(SERVER), port };
      const dials = [await client.dial(call), await client.dial(call), await client.dial(call)];
      expect(dials.map(({ resumed }) => resumed)).toEqual([false, false, false]);
      const withdrawn = { ...ours, bundle: base64(next.certificate.der) };
      await expect(client.dial({ ...call, source: withdrawn })).rejects.toMatchObject({
        code: 'ERR_SVID_UNTRUSTED',
      });
      await expect(client.dial({ ...call, expect: old.id('/other') })).rejects.toMatchObject({
        code: 'ERR_SVID_UNEXPECTED_ID',
      });
    });
  });

  describe.each(RUNTIMES)('%s', (runtime) => {
    it('does not believe a client that has a certificate without its key', async () => {
      const server = parties[`server-${runtime}`];
      const name = `${runtime}-keyless`;
      const svid = await issue(old, CLIENT);
      const source = identityOf(await issue(old, SERVER), old);
      const port = await server.serve({ server: name, source, accept: old.id(CLIENT) });
      const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
      expect(await keylessClient(port, svid, request)).toMatchObject({ kind: 'believed' });
      expect(await keylessClient(port, { certificates: svid.certificates }, request)).toEqual({
        kind: 'refused',
      });
      expect((await server.served({ server: name })).requests).toBe(1);
    });

    it('does not believe a server that has a certificate without its key', async () => {
      const client = parties[`client-${runtime}`];
      const svid = await issue(old, SERVER);
      const source = identityOf(await issue(old, CLIENT), old);
      const outcomes: Outcome[] = [];
      for (const presented of [svid, { certificates: svid.certificates }]) {
        const thief = await keylessServer(presented, (outcome) => outcomes.push(outcome));
        onTestFinished(() => void thief.close());
        const { port } = thief.address() as AddressInfo;
        const call = client.call({ source, expect: old.id(SERVER), port });
        await expect(call).rejects.toThrow();
      }
      expect(outcomes.map(({ kind }) => kind)).toEqual(['believed', 'refused']);
    });
  });
});
