import { Metadata } from '@grpc/grpc-js';
import { readdirSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WorkloadAttestor } from '../../attestors/workload/workload-attestor.ts';
import { createUnixAttestor } from '../../attestors/workload/unix/attestor.ts';
import type { Logger } from '../../daemon/log.ts';
import { SpiffeWorkloadAPI } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { parseSpiffeId, parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { serveWorkloadApi } from '../endpoints.ts';
import { createPeerIdentifier, openKernel } from '../peer/peer.ts';
import type { IssuedX509Svid, WorkloadEntry } from '../svid-cache/entry.ts';
import { SvidCache } from '../svid-cache/svid-cache.ts';
import {
  capturedLog,
  eventually,
  fetchSvids,
  HEADER,
  temporaryFolder,
  unixClient,
  watchSvids,
} from '../testing/support.ts';
import { createWorkloadAttestation } from './attestation.ts';
import { expectSecurityHeader } from './security-header.ts';

const identifier = createPeerIdentifier(await openKernel());
const authority = await testAuthority();
const trustDomain = parseTrustDomain('example.org');
const bundles = {
  trustDomain,
  own: authority.certificate.der,
  untainted: new Set<string>(),
  federated: new Map(),
};
const { fetchX509SVID, fetchX509Bundles, ...others } = SpiffeWorkloadAPI.method;
const uid = process.getuid!();

let folder: ReturnType<typeof temporaryFolder>;
let cleanup: (() => void)[];
beforeEach(() => {
  folder = temporaryFolder();
  cleanup = [() => folder[Symbol.dispose]()];
});
afterEach(() => {
  for (const end of cleanup.toReversed()) end();
});

const entry = (id: string, over: Partial<WorkloadEntry> = {}): WorkloadEntry => ({
  id,
  spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
  selectors: [`unix:uid:${uid}`],
  federatesWith: [],
  hint: '',
  revision: 0n,
  createdAt: 1n,
  storeSvid: false,
  ...over,
});

async function svid(id: string): Promise<IssuedX509Svid> {
  const issued = await authority.issue(`/${id}`);
  return {
    entryId: id,
    spiffeId: issued.id,
    revision: 0n,
    createdAt: 1n,
    certificates: issued.certificates[0]!,
    privateKey: issued.privateKey,
    serial: issued.serial,
    authority: '',
    notAfter: issued.notAfter,
    renewAt: issued.notAfter,
  };
}

const entries = (...all: WorkloadEntry[]) => new Map(all.map((each) => [each.id, each]));

interface Options {
  attestors?: WorkloadAttestor[];
  patience?: number;
  streamsPerUser?: number;
  connectionsPerUser?: number;
  log?: Logger;
}

async function serve(
  cache: SvidCache,
  { attestors = [createUnixAttestor()], log = capturedLog().log, ...rest }: Options = {},
) {
  const path = folder.file('api.sock');
  const attest = createWorkloadAttestation(attestors, log);
  cleanup.push(await serveWorkloadApi({ path, identifier, cache, attest, log, ...rest }));
  return { path, client: connect(path) };
}

function connect(path: string) {
  const client = unixClient(path);
  cleanup.push(() => client.close());
  return client;
}

async function withWeb(): Promise<SvidCache> {
  const cache = new SvidCache();
  cache.update({ bundles, entries: entries(entry('web')), svids: [await svid('web')] });
  return cache;
}

describe('the security header', () => {
  test('must be there exactly once, with the value true', () => {
    for (const values of [
      [],
      ['True'],
      ['1'],
      ['false'],
      [''],
      ['true', 'true'],
      ['true, true'],
      ['true '].map((v) => `${v}x`),
    ]) {
      const metadata = new Metadata();
      for (const value of values) metadata.add('workload.spiffe.io', value);
      expect(() => expectSecurityHeader(metadata)).toThrow('security header missing from request');
    }
    const metadata = new Metadata();
    metadata.add('workload.spiffe.io', 'true');
    expectSecurityHeader(metadata);
  });

  test('is looked at before readiness, attestation and the profile', async () => {
    let attested = 0;
    const attestor = { name: 'test', attest: async () => (attested++, []) };
    const { client } = await serve(new SvidCache(), { attestors: [attestor] });
    const refusal = { code: 3, details: 'security header missing from request' };
    await expect(client.serverStream(fetchX509SVID, {}).next()).rejects.toMatchObject(refusal);
    await expect(client.serverStream(fetchX509Bundles, {}).next()).rejects.toMatchObject(refusal);
    await expect(client.unary(others.fetchJWTSVID, { audience: ['a'] })).rejects.toMatchObject(refusal);
    await expect(client.serverStream(others.fetchWITBundles, {}).next()).rejects.toMatchObject(refusal);
    expect(attested).toBe(0);
  });
});

describe('a caller', () => {
  test('gets UNAVAILABLE while the agent does not know the entries', async () => {
    const { client } = await serve(new SvidCache());
    await expect(fetchSvids(client)).rejects.toMatchObject({ code: 14 });
  });

  test('gets UNIMPLEMENTED for what is not served', async () => {
    const { client } = await serve(await withWeb());
    const call = { metadata: HEADER };
    await expect(client.unary(others.fetchJWTSVID, { audience: ['a'] }, call)).rejects.toMatchObject({
      code: 12,
    });
    await expect(client.unary(others.validateJWTSVID, {}, call)).rejects.toMatchObject({ code: 12 });
    await expect(client.serverStream(others.fetchJWTBundles, {}, call).next()).rejects.toMatchObject({
      code: 12,
    });
    await expect(client.serverStream(others.fetchWITSVID, {}, call).next()).rejects.toMatchObject({
      code: 12,
    });
    await expect(client.serverStream(others.fetchWITBundles, {}, call).next()).rejects.toMatchObject({
      code: 12,
    });
  });

  test('without an entry is refused, and the log says once what was seen of him', async () => {
    const { log, lines } = capturedLog('warn');
    const cache = new SvidCache();
    cache.update({ bundles, entries: entries(entry('web', { selectors: ['unix:uid:4242'] })) });
    const { client } = await serve(cache, { log });
    for (let call = 0; call < 3; call++) {
      await expect(fetchSvids(client)).rejects.toMatchObject({ code: 7, details: 'no identity issued' });
    }
    await expect(
      client.serverStream(fetchX509Bundles, {}, { metadata: HEADER }).next(),
    ).rejects.toMatchObject({ code: 7 });
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      caller: { pid: process.pid, uid, executable: expect.any(String) as string },
      selectors: expect.arrayContaining([`unix:uid:${uid}`]) as string[],
    });
  });

  test('whom no attestor can tell is not turned away for good', async () => {
    const failing = { name: 'broken', attest: async () => Promise.reject(new Error('no')) };
    const { client } = await serve(await withWeb(), { attestors: [failing] });
    await expect(fetchSvids(client)).rejects.toMatchObject({
      code: 14,
      details: 'workload attestation failed',
    });
  });

  test('whom one attestor can tell is served, and the log names the other', async () => {
    const { log, lines } = capturedLog('warn');
    const failing = { name: 'broken', attest: async () => Promise.reject(new Error('no daemon')) };
    const { client } = await serve(await withWeb(), { attestors: [failing, createUnixAttestor()], log });
    expect((await fetchSvids(client)).svids).toHaveLength(1);
    expect(lines.join()).toContain('no daemon');
  });

  test('gets every identity, the lowest entry id first, in full', async () => {
    const cache = new SvidCache();
    const all = entries(
      entry('b', { hint: 'second' }),
      entry('a'),
      entry('other', { selectors: ['unix:uid:4242'] }),
    );
    cache.update({ bundles, entries: all, svids: [await svid('b'), await svid('a'), await svid('other')] });
    const { client } = await serve(cache);
    const { svids } = await fetchSvids(client);
    expect(svids.map(({ spiffeId, hint }) => [spiffeId, hint])).toEqual([
      ['spiffe://example.org/a', ''],
      ['spiffe://example.org/b', 'second'],
    ]);
    for (const { x509Svid, x509SvidKey, bundle } of svids) {
      for (const der of [x509Svid, x509SvidKey, bundle]) expect(der[0]).toBe(0x30);
    }
  });

  test('with a brand-new entry waits a little for the SVID', async () => {
    const cache = new SvidCache();
    cache.update({ bundles, entries: entries(entry('web')) });
    const { client } = await serve(cache);
    const answer = fetchSvids(client);
    await new Promise((resolve) => setTimeout(resolve, 100));
    cache.update({ svids: [await svid('web')] });
    expect((await answer).svids).toHaveLength(1);
  });

  test('waits no longer than a while', async () => {
    const cache = new SvidCache();
    cache.update({ bundles, entries: entries(entry('web')) });
    const { client } = await serve(cache, { patience: 50 });
    await expect(fetchSvids(client)).rejects.toMatchObject({ code: 14 });
  });

  test('gets the bundles, his own trust domain’s always, and only when they change', async () => {
    const cache = await withWeb();
    const { client } = await serve(cache);
    const stream = client.serverStream(fetchX509Bundles, {}, { metadata: HEADER });
    expect(Object.keys((await stream.next()).value!.bundles)).toEqual(['spiffe://example.org']);
    cache.update({ svids: [await svid('web')] });
    const partner = parseTrustDomain('partner.test');
    cache.update({
      bundles: { ...bundles, federated: new Map([[partner, Uint8Array.of(0x30)]]) },
      entries: entries(entry('web', { federatesWith: [partner] })),
    });
    expect(Object.keys((await stream.next()).value!.bundles).sort()).toEqual([
      'spiffe://example.org',
      'spiffe://partner.test',
    ]);
    await stream.return();
  });
});

describe('limits', () => {
  // Bun's HTTP/2 server ends no stream with trailers beside idle ones. The agent itself runs on Node.
  test.skipIf(process.versions['bun'] !== undefined)('one user can have so many streams', async () => {
    const { client } = await serve(await withWeb(), { streamsPerUser: 2 });
    const streams = [watchSvids(client), watchSvids(client)];
    for (const stream of streams) await stream.next();
    await expect(fetchSvids(client)).rejects.toMatchObject({ code: 8 });
    for (const stream of streams) await stream.return();
    await eventually(
      () =>
        fetchSvids(client).then(
          ({ svids }) => svids.length,
          () => false,
        ),
      'room again',
    );
  });

  test('one user can have so many connections; each gives its descriptors back', async () => {
    const { path } = await serve(await withWeb(), { connectionsPerUser: 3 });
    const before = readdirSync('/proc/self/fd').length;
    const ends: number[] = [];
    const sockets = Array.from({ length: 5 }, (_unused, index) =>
      connectSocket(path)
        .on('close', () => ends.push(index))
        .on('error', () => {})
        .resume(),
    );
    await eventually(() => ends.length === 2, 'two refusals');
    for (const socket of sockets) socket.destroy();
    await eventually(() => readdirSync('/proc/self/fd').length <= before, 'descriptors closed');
    const client = connect(path);
    expect((await fetchSvids(client)).svids).toHaveLength(1);
  });

  test('garbage and half a frame harm nobody else', async () => {
    const { path, client } = await serve(await withWeb());
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00',
      '\0'.repeat(1e5),
    ]) {
      const socket = connectSocket(path).on('error', () => {});
      socket.write(bytes);
      cleanup.push(() => socket.destroy());
    }
    expect((await fetchSvids(client)).svids).toHaveLength(1);
  });
});
