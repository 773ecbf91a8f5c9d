// Against a real gRPC server on a real Unix socket.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { TestWorkloadApi } from '../../test/support/workload-api.ts';
import { SpiffeError } from '../error.ts';
import { parseTrustDomain } from '../spiffe-id.ts';
import { workloadApiTarget } from './endpoint.ts';
import { X509Source, type SourceEvent } from './x509-source.ts';

describe('X509Source', () => {
  let authority: TestAuthority;
  let api: TestWorkloadApi;
  let events: SourceEvent[];
  let sources: X509Source[];

  beforeEach(async () => {
    authority = await testAuthority();
    api = new TestWorkloadApi(join(await mkdtemp(join(tmpdir(), 'sigil-test-')), 'api.sock'), authority);
    await api.start();
    [events, sources] = [[], []];
  });
  afterEach(async () => {
    for (const source of sources) await source.close();
    api.stop();
  });

  const open = async (options: { now?: () => number } = {}) => {
    const source = await X509Source.open({
      endpoint: api.endpoint,
      onEvent: (event) => events.push(event),
      maxBackoff: 100,
      ...options,
    });
    sources.push(source);
    return source;
  };

  it('waits for the first SVID, then follows every change', async () => {
    const [first, second] = [await authority.issue('/web'), await authority.issue('/web')];
    api.push(first);
    const source = await open();
    expect(source.current().serial).toBe(first.serial);
    expect(source.x509Bundle(parseTrustDomain('example.org'))?.authorities).toHaveLength(1);
    expect(source.x509Bundle(parseTrustDomain('other.org'))).toBeUndefined();
    let updates = 0;
    source.onUpdate(() => updates++);
    api.push(second);
    await eventually(() => source.current().serial === second.serial);
    expect(updates).toBe(1);
  });

  it('WE-04: sends the security header, exactly once', async () => {
    api.push(await authority.issue('/web'));
    await open();
    expect(api.headers).toEqual([['true']]);
  });

  it('keeps what it has while the endpoint is away, and comes back by itself', async () => {
    const [first, second] = [await authority.issue('/web'), await authority.issue('/web')];
    api.push(first);
    const source = await open();
    api.stop();
    await eventually(() => events.some(({ kind }) => kind === 'interrupted'));
    expect(source.current().serial).toBe(first.serial);
    api.push(second);
    await api.start();
    await eventually(() => source.current().serial === second.serial);
  });

  it('WAPI-26: stops using an identity that was withdrawn, and takes a new one', async () => {
    api.push(await authority.issue('/web'));
    const source = await open();
    api.push({ code: 'PERMISSION_DENIED', message: 'no identity issued' });
    await eventually(() => events.some(({ kind }) => kind === 'denied'));
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_NO_IDENTITY' }));
    api.push(await authority.issue('/web'));
    await eventually(() => {
      try {
        return source.current();
      } catch {
        return undefined;
      }
    });
  });

  it('never hands out an expired SVID', async () => {
    api.push(await authority.issue('/web'));
    let now = Date.now();
    const source = await open({ now: () => now });
    now = source.current().notAfter + 1;
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_SVID_EXPIRED' }));
  });

  it('WAPI-10: discards a message that is wrong and keeps the stream', async () => {
    const [first, second] = [await authority.issue('/web'), await authority.issue('/web')];
    api.push(first);
    const source = await open();
    api.push({ ...second, id: authority.id('/other') });
    api.push({ ...second, privateKey: first.privateKey });
    await eventually(() => events.filter(({ kind }) => kind === 'interrupted').length === 2);
    expect(source.current().serial).toBe(first.serial);
    api.push(second);
    await eventually(() => source.current().serial === second.serial);
    expect(api.calls).toBe(1);
  });

  it('a federated bundle that cannot be read is left out, and costs the workload nothing of its own', async () => {
    const foreign = await testAuthority('other.org');
    const good = foreign.certificate.der;
    api.pushTo('fetchX509SVID', {
      svids: [api.entryOf(await authority.issue('/web'))],
      federatedBundles: { 'spiffe://bad.org': Uint8Array.of(0x30, 0x80), 'spiffe://other.org': good },
    });
    const source = await open();
    expect(source.current().id).toBe(authority.id('/web'));
    expect(source.x509Bundle(parseTrustDomain('bad.org'))).toBeUndefined();
    expect(source.x509Bundle(parseTrustDomain('other.org'))?.authorities).toHaveLength(1);
    expect(events).toContainEqual({
      kind: 'interrupted',
      reason: expect.stringMatching(/left out.*bad\.org/) as string,
      retryIn: 0,
    });
  });

  it('WE-06: does not ask again after InvalidArgument', async () => {
    api.push({ code: 'INVALID_ARGUMENT', message: 'security header missing from request' });
    await expect(open()).rejects.toThrow(SpiffeError);
    expect(api.calls).toBe(1);
  });

  it('does not go back to an older SVID, unless the one it holds ran out or lost its authority', async () => {
    const now = Date.now();
    const older = await authority.issue('/web', { notBefore: now - 600_000, notAfter: now + 900_000 });
    const newer = await authority.issue('/web', { notBefore: now - 10_000, notAfter: now + 60_000 });
    api.push(newer);
    let clock = now;
    const source = await open({ now: () => clock });
    api.push(older);
    await eventually(() =>
      events.some((event) => event.kind === 'interrupted' && /older/.test(event.reason)),
    );
    expect(source.current().serial).toBe(newer.serial);
    clock = now + 120_000;
    api.push(older);
    await eventually(() => source.svids()[0]!.serial === older.serial);
    clock = now;
    api.push(newer);
    await eventually(() => source.current().serial === newer.serial);
    const replaced = await testAuthority();
    const its = await replaced.issue('/web', { notBefore: now - 500_000 });
    api.pushTo('fetchX509SVID', {
      svids: [{ ...api.entryOf(its), bundle: replaced.certificate.der }],
    });
    await eventually(() => source.current().serial === its.serial);
  });

  it('keeps two SVIDs of one name apart', async () => {
    const [a, b] = [
      await authority.issue('/web', { notBefore: Date.now() - 100_000 }),
      await authority.issue('/web', { notBefore: Date.now() - 200_000 }),
    ];
    const pair = [a, b].map((svid) => api.entryOf(svid));
    api.pushTo('fetchX509SVID', { svids: pair });
    const source = await open();
    for (const svids of [pair, pair.toReversed()]) {
      api.pushTo('fetchX509SVID', { svids });
      await eventually(() => source.svids()[0]!.serial === (svids === pair ? a : b).serial);
      expect(new Set(source.svids().map(({ serial }) => serial)).size).toBe(2);
    }
  });

  it('ends its loops with the signal that it was opened with', async () => {
    const controller = new AbortController();
    api.push(await authority.issue('/web'));
    const source = await X509Source.open({ endpoint: api.endpoint, signal: controller.signal });
    sources.push(source);
    for await (const svids of source.updates()) {
      expect(svids).toHaveLength(1);
      controller.abort();
    }
    expect(source.current().id).toBe('spiffe://example.org/web');
  });

  it('a wait for the first SVID ends with its signal', async () => {
    const controller = new AbortController();
    const opening = X509Source.open({ endpoint: api.endpoint, signal: controller.signal });
    await eventually(() => api.calls === 1);
    controller.abort();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_NO_IDENTITY' });
  });
});

describe('endpoints', () => {
  it.each([
    ['unix:///run/a.sock', 'unix:/run/a.sock'],
    ['unix:/run/a.sock', 'unix:/run/a.sock'],
    ['tcp://127.0.0.1:80', 'ipv4:127.0.0.1:80'],
    ['tcp://[::1]:80', 'ipv6:[::1]:80'],
  ])('%s is %s', (uri, target) => {
    expect(workloadApiTarget(uri)).toBe(target);
  });

  it.each([
    'unix://foo',
    'unix://host/a',
    'unix:a',
    'unix:////a',
    'unix:///a?b',
    'tcp://localhost:80',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:80/a',
    'http://a',
    '/run/a.sock',
    'tcp://[127.0.0.1]:1',
  ])('WE-09: %s is refused', (uri) => {
    expect(() => workloadApiTarget(uri)).toThrow(expect.objectContaining({ code: 'ERR_ENDPOINT' }));
  });
});
