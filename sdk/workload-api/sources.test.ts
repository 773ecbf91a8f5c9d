// What all sources have in common, each against a real gRPC server on a real Unix socket.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { tokenAuthority } from '../../test/support/token-authority.ts';
import { TestWorkloadApi, type Refusal, type StreamCall } from '../../test/support/workload-api.ts';
import { SpiffeError } from '../error.ts';
import { parseTrustDomain } from '../spiffe-id.ts';
import { concat } from '../x509-svid/der-writer.ts';
import { BundleSource } from './bundle-source.ts';
import { JwtSource } from './jwt-source.ts';
import type { SourceOptions, StreamEvent } from './stream-watcher.ts';
import { WitSource } from './wit-source.ts';
import { X509Source } from './x509-source.ts';

const DENIED: Refusal = { code: 'PERMISSION_DENIED', message: 'no identity issued' };
const trustDomain = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const authority = await testAuthority();
const second = await testAuthority();
const tokens = tokenAuthority();
type Options = SourceOptions & { readonly onEvent?: (event: { readonly kind: string }) => void };

interface Opened extends AsyncDisposable {
  onUpdate(listener: () => void): () => void;
  updates(signal?: AbortSignal): AsyncGenerator;
  close(): Promise<void>;
}

interface Case {
  readonly name: string;
  readonly streams: readonly StreamCall[];
  readonly open: (options: Options) => Promise<Opened>;
  /** Messages for the streams: two states that differ, and one that must be discarded. */
  readonly states: () => Promise<readonly [first: object[], second: object[], bad: object[]]>;
  /** Something that differs between the two states; undefined after a withdrawal. */
  readonly read: (source: never) => unknown;
}

const key = (name: string) => `spiffe://${name}`;
const bundle = (...made: (typeof authority)[]) => concat(made.map(({ certificate }) => certificate.der));

const CASES: readonly Case[] = [
  {
    name: 'X509Source',
    streams: ['fetchX509SVID'],
    open: (options) => X509Source.open(options),
    states: async () => {
      const entry = async () => ({
        spiffeId: authority.id('/web'),
        ...(await svidEntry()),
      });
      const [a, b] = [await entry(), await entry()];
      return [
        [{ svids: [a] }],
        [{ svids: [b] }],
        [{ svids: [{ ...b, spiffeId: 'spiffe://example.org/x' }] }],
      ];
    },
    read: (source: X509Source) => source.svids()[0]?.serial,
  },
  {
    name: 'BundleSource',
    streams: ['fetchX509Bundles', 'fetchJWTBundles'],
    open: (options) => BundleSource.open(options),
    states: async () => {
      const jwt = { bundles: tokens.jwtBundles };
      return [
        [{ bundles: { [key('example.org')]: bundle(authority) } }, jwt],
        [{ bundles: { [key('example.org')]: bundle(authority, second) } }, jwt],
        [{ bundles: {} }, { bundles: { [key('example.org')]: new TextEncoder().encode('{}') } }],
      ];
    },
    read: (source: BundleSource) =>
      source.x509Bundle(trustDomain) && source.jwtBundle(trustDomain)
        ? source.x509Bundle(trustDomain)!.authorities.length
        : undefined,
  },
  {
    name: 'JwtSource',
    streams: ['fetchJWTBundles'],
    open: (options) => JwtSource.open(options),
    states: async () => [
      [{ bundles: tokens.jwtBundles }],
      [{ bundles: { ...tokens.jwtBundles, [key('other.org')]: new TextEncoder().encode('{"keys":[]}') } }],
      [{ bundles: { [key('example.org')]: new TextEncoder().encode('nonsense') } }],
    ],
    read: (source: JwtSource) =>
      source.jwtBundle(trustDomain) && (source.jwtBundle(other)?.jwtAuthorities.size ?? 'one'),
  },
  {
    name: 'WitSource',
    streams: ['fetchWITSVID', 'fetchWITBundles'],
    open: (options) => WitSource.open({ ...options, experimental: { wit: true } }),
    states: async () => {
      const [a, b] = [await tokens.wit(), await tokens.wit()];
      const bundles = { bundles: tokens.witBundles };
      return [
        [{ svids: [a] }, bundles],
        [{ svids: [b] }, bundles],
        [{ svids: [{ ...a, witSvidKey: b.witSvidKey }] }, { bundles: {} }],
      ];
    },
    read: (source: WitSource) => (source.witBundle(trustDomain) ? source.svids()[0]?.token : undefined),
  },
];

async function svidEntry() {
  const svid = await authority.issue('/web');
  return {
    x509Svid: concat(svid.certificates),
    x509SvidKey: svid.privateKey,
    bundle: authority.certificate.der,
  };
}

describe.each(CASES)('$name', ({ streams, open, states, read }) => {
  let api: TestWorkloadApi;
  let events: { readonly kind: string }[];
  let opened: Opened[];
  let [first, next, bad]: readonly object[][] = [];

  beforeEach(async () => {
    api = new TestWorkloadApi(join(await mkdtemp(join(tmpdir(), 'sigil-test-')), 'api.sock'), authority);
    await api.start();
    [events, opened] = [[], []];
    [first, next, bad] = await states();
  });
  afterEach(async () => {
    for (const source of opened) await source.close();
    api.stop();
  });

  const push = (messages: readonly object[] | undefined) =>
    streams.forEach((stream, index) => api.pushTo(stream, messages![index] as never));
  const refuse = (refusal: Refusal) => streams.forEach((stream) => api.pushTo(stream, refusal));
  const start = async (options: Options = {}) => {
    const onEvent = (event: { readonly kind: string }) => void events.push(event);
    const source = await open({ endpoint: api.endpoint, onEvent, maxBackoff: 100, ...options });
    opened.push(source);
    return source;
  };
  const state = (source: Opened) => read(source as never);
  const saw = (kind: StreamEvent['kind'], count = 1) =>
    eventually(() => events.filter((event) => event.kind === kind).length >= count);

  it('waits for the first value, then follows every change, and says so', async () => {
    push(first);
    const source = await start();
    const before = state(source);
    expect(before).toBeDefined();
    let updates = 0;
    source.onUpdate(() => updates++);
    push(next);
    await eventually(() => state(source) !== before);
    expect(updates).toBeGreaterThan(0);
  });

  it('sends the security header once on each stream', async () => {
    push(first);
    await start();
    for (const stream of streams) expect(api.headersOf(stream)).toEqual([['true']]);
  });

  it('keeps what it has while the endpoint is away, and comes back by itself', async () => {
    push(first);
    const source = await start();
    const before = state(source);
    api.stop();
    await saw('interrupted');
    expect(state(source)).toBe(before);
    push(next);
    await api.start();
    await eventually(() => state(source) !== before);
  });

  it('stops using what was withdrawn, and takes it when it is given again', async () => {
    push(first);
    const source = await start();
    refuse(DENIED);
    await saw('denied', streams.length);
    expect(state(source)).toBeUndefined();
    push(next);
    await eventually(() => state(source) !== undefined);
  });

  it('discards messages that are wrong and keeps the streams', async () => {
    push(first);
    const source = await start();
    const before = state(source);
    push(bad);
    await saw('interrupted', streams.length);
    expect(state(source)).toBe(before);
    push(next);
    await eventually(() => state(source) !== before);
    for (const stream of streams) expect(api.headersOf(stream)).toHaveLength(1);
  });

  it.each(['INVALID_ARGUMENT', 'UNIMPLEMENTED'] as const)(
    'asks once where the answer is %s',
    async (code) => {
      refuse({ code, message: 'no' });
      await expect(start()).rejects.toMatchObject({ name: 'SpiffeError', code: 'ERR_WORKLOAD_API' });
      for (const stream of streams) expect(api.headersOf(stream).length).toBeLessThanOrEqual(1);
      expect(events.some((event) => 'retryIn' in event && event.retryIn === Infinity)).toBe(true);
    },
  );

  it('a wait for the first value ends with its signal', async () => {
    const controller = new AbortController();
    const opening = start({ signal: controller.signal });
    await eventually(() => api.headersOf(streams[0]!).length === 1);
    controller.abort();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_NO_IDENTITY' });
    await expect(start({ signal: AbortSignal.abort() })).rejects.toBeInstanceOf(SpiffeError);
  });

  it('updates() gives what is, then every change, and ends with the signal and with the source', async () => {
    push(first);
    const source = await start();
    const before = state(source);
    const controller = new AbortController();
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const _ of source.updates(controller.signal)) seen.push(state(source));
    })();
    await eventually(() => seen.length > 0);
    expect(seen[0]).toBe(before);
    push(next);
    await eventually(() => seen.at(-1) !== before);
    controller.abort();
    await loop;
    let told = 0;
    source.onUpdate(() => told++);
    const ends = (async () => {
      for await (const _ of source.updates()) await source.close();
    })();
    await ends;
    expect(told).toBe(0);
  });
});
