// Workload Endpoint and Workload API: every requirement on clients and validators, against a real gRPC server, and the
// vectors 11.6. What binds the endpoint is tested with the agent.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SpiffeWorkloadAPI, WITSVIDSchema } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { SpiffeError } from '../../sdk/error.ts';
import { parseSpiffeId, parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { BundleSource } from '../../sdk/workload-api/bundle-source.ts';
import { grpcCodeOf, WorkloadApiClient } from '../../sdk/workload-api/client.ts';
import { ENDPOINT_VARIABLE, workloadApiTarget } from '../../sdk/workload-api/endpoint.ts';
import { JwtSource } from '../../sdk/workload-api/jwt-source.ts';
import { WitSource } from '../../sdk/workload-api/wit-source.ts';
import { X509Source, type SourceEvent, type X509SourceOptions } from '../../sdk/workload-api/x509-source.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { testAuthority } from '../support/authority.ts';
import { eventually } from '../support/eventually.ts';
import { tokenAuthority } from '../support/token-authority.ts';
import { TestWorkloadApi, type Refusal } from '../support/workload-api.ts';

const experimental = { wit: true };
const DENIED: Refusal = { code: 'PERMISSION_DENIED', message: 'no identity issued' };
const authority = await testAuthority();
const foreign = await testAuthority('other.org');
const tokens = tokenAuthority();
const own = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const federated = { 'spiffe://other.org': foreign.certificate.der };

let api: TestWorkloadApi;
let events: SourceEvent[];
let opened: AsyncDisposable[];

beforeEach(async () => {
  api = new TestWorkloadApi(join(await mkdtemp(join(tmpdir(), 'sigil-test-')), 'api.sock'), authority);
  await api.start();
  [events, opened] = [[], []];
});
afterEach(async () => {
  for (const source of opened) await source[Symbol.asyncDispose]();
  api.stop();
});

const keep = <T extends AsyncDisposable>(source: T): T => {
  opened.push(source);
  return source;
};
const open = async (options: X509SourceOptions = {}) =>
  keep(
    await X509Source.open({
      endpoint: api.endpoint,
      onEvent: (event) => events.push(event),
      maxBackoff: 100,
      ...options,
    }),
  );
const openWit = async () =>
  keep(await WitSource.open({ endpoint: api.endpoint, experimental, maxBackoff: 100 }));
const issue = async (path = '/web', hint = '') => api.entryOf(await authority.issue(path), hint);
const saw = (kind: SourceEvent['kind'], count = 1) =>
  eventually(() => events.filter((event) => event.kind === kind).length >= count);
const serialOf = (source: X509Source) => source.svids()[0]?.serial;

describe('the endpoint', () => {
  it('WE-02: gRPC over a Unix socket and over TCP', async () => {
    api.push(await authority.issue('/web'));
    expect((await open()).current().id).toBe('spiffe://example.org/web');
    api.stop();
    const endpoint = await api.startTcp();
    api.push(await authority.issue('/web'));
    expect((await open({ endpoint })).current().id).toBe('spiffe://example.org/web');
  });

  it('WE-04: every one of the seven calls has the header, exactly once', async () => {
    using client = new WorkloadApiClient(api.endpoint);
    api.push(await authority.issue('/web'));
    api.pushTo('fetchX509Bundles', { bundles: { 'spiffe://example.org': authority.certificate.der } });
    api.pushTo('fetchJWTBundles', { bundles: tokens.jwtBundles });
    api.pushTo('fetchWITSVID', { svids: [await tokens.wit()] });
    api.pushTo('fetchWITBundles', { bundles: tokens.witBundles });
    api.jwtSvid = async () => ({ svids: [await tokens.jwt()] });
    api.validation = () => ({ spiffeId: 'spiffe://example.org/web', claims: { aud: ['a'] } });
    for (const stream of [
      client.fetchX509Svid(),
      client.fetchX509Bundles(),
      client.fetchJwtBundles(),
      client.fetchWitSvid({ experimental }),
      client.fetchWitBundles({ experimental }),
    ]) {
      await stream.next();
      await stream.return();
    }
    await client.fetchJwtSvids({ audience: 'a' });
    await client.validateJwtSvid('token', 'a');
    for (const call of Object.keys(SpiffeWorkloadAPI.method) as (keyof typeof SpiffeWorkloadAPI.method)[])
      expect(api.headersOf(call), call).toEqual([['true']]);
  });

  it('WE-06: InvalidArgument is not asked again', async () => {
    api.push({ code: 'INVALID_ARGUMENT', message: 'security header missing from request' });
    await expect(open()).rejects.toMatchObject({ code: 'ERR_WORKLOAD_API' });
    expect(api.calls).toBe(1);
  });

  it('WE-08: SPIFFE_ENDPOINT_SOCKET is used where nothing else is set', async () => {
    const before = process.env[ENDPOINT_VARIABLE];
    try {
      process.env[ENDPOINT_VARIABLE] = api.endpoint;
      api.push(await authority.issue('/web'));
      expect((await open({ endpoint: undefined })).current().id).toBe('spiffe://example.org/web');
      delete process.env[ENDPOINT_VARIABLE];
      await expect(open({ endpoint: undefined })).rejects.toMatchObject({ code: 'ERR_ENDPOINT' });
    } finally {
      if (before === undefined) delete process.env[ENDPOINT_VARIABLE];
      else process.env[ENDPOINT_VARIABLE] = before;
    }
  });

  it('WE-09: only the schemes unix and tcp', () => {
    for (const uri of ['http://127.0.0.1:80', 'ftp:///a', 'dns:localhost', 'unix-abstract:a', 'a'])
      expect(() => workloadApiTarget(uri), uri).toThrow(expect.objectContaining({ code: 'ERR_ENDPOINT' }));
  });

  it('WE-12: Unavailable, and an endpoint that is not there, are asked again after a while', async () => {
    api.push({ code: 'UNAVAILABLE', message: 'starting' });
    api.push(await authority.issue('/web'));
    const source = await open();
    expect(api.calls).toBe(2);
    api.stop();
    await saw('interrupted', 3);
    await api.start();
    api.push(await authority.issue('/again'));
    await eventually(() => source.svids()[0]?.id === 'spiffe://example.org/again');
  });

  it('WE-13: PermissionDenied is not fatal: the identity may come', async () => {
    api.push(DENIED);
    api.push(DENIED);
    api.push(await authority.issue('/web'));
    expect((await open()).current().id).toBe('spiffe://example.org/web');
    expect(api.calls).toBe(3);
  });

  it('WE-14: Unimplemented is reported and not asked again', async () => {
    api.push({ code: 'UNIMPLEMENTED', message: 'profile disabled' });
    await expect(open()).rejects.toMatchObject({ code: 'ERR_WORKLOAD_API' });
    expect(api.calls).toBe(1);
    const failure = await new WorkloadApiClient(api.endpoint)
      .fetchJwtSvids({ audience: 'a' })
      .catch((error: unknown) => error as SpiffeError);
    expect(grpcCodeOf((failure as SpiffeError).cause)).toBe(status.UNIMPLEMENTED);
    expect(api.headersOf('fetchJWTSVID')).toHaveLength(1);
  });
});

describe('the streams', () => {
  it('WAPI-03: the stream stays open, and is opened again when it breaks', async () => {
    api.push(await authority.issue('/web'));
    const source = await open();
    const second = await authority.issue('/web');
    api.push(second);
    await eventually(() => serialOf(source) === second.serial);
    expect(api.calls).toBe(1);
    const third = await authority.issue('/web');
    api.push({ code: 'INTERNAL', message: 'broken' });
    api.push(third);
    await eventually(() => serialOf(source) === third.serial);
    expect(api.calls).toBe(2);
  });

  it('WAPI-07: an empty field replaces what it held before', async () => {
    api.pushTo('fetchX509SVID', { svids: [await issue()], federatedBundles: federated });
    const source = await open();
    expect(source.x509Bundle(other)?.authorities).toHaveLength(1);
    api.pushTo('fetchX509SVID', { svids: [await issue()] });
    await eventually(() => source.x509Bundle(other) === undefined);
    expect(source.x509Bundle(own)).toBeDefined();
  });

  it('WAPI-08: a trust domain that is no longer in the map is unloaded', async () => {
    const mine = { 'spiffe://example.org': authority.certificate.der };
    api.pushTo('fetchX509Bundles', { bundles: { ...mine, ...federated } });
    api.pushTo('fetchJWTBundles', { bundles: tokens.jwtBundles });
    const source = keep(await BundleSource.open({ endpoint: api.endpoint }));
    expect(verifyX509Svid((await foreign.issue('/a')).certificates, source).id).toBe('spiffe://other.org/a');
    api.pushTo('fetchX509Bundles', { bundles: mine });
    await eventually(() => source.x509Bundle(other) === undefined);
    expect(source.trustDomains()).toEqual(['example.org']);
  });

  it('WAPI-10: a message with an empty mandatory field is reported and discarded', async () => {
    api.push(await authority.issue('/web'));
    const source = await open();
    const serial = serialOf(source);
    const entry = await issue();
    const empty = new Uint8Array(0);
    for (const svids of [
      [],
      [{ ...entry, spiffeId: '' }],
      [{ ...entry, x509Svid: empty }],
      [{ ...entry, x509SvidKey: empty }],
      [{ ...entry, bundle: empty }],
    ])
      api.pushTo('fetchX509SVID', { svids });
    await saw('interrupted', 5);
    expect(serialOf(source)).toBe(serial);
    expect(api.calls).toBe(1);
    using client = new WorkloadApiClient(api.endpoint);
    api.jwtSvid = () => ({ svids: [] });
    await expect(client.fetchJwtSvids({ audience: 'a' })).rejects.toMatchObject({ code: 'ERR_WORKLOAD_API' });
  });

  it('WAPI-11: a peer is judged by the bundle of its own trust domain, or not trusted', async () => {
    api.push(await authority.issue('/web'));
    const source = await open();
    const stray = await foreign.issue('/web');
    expect(() => verifyX509Svid(stray.certificates, source)).toThrow(
      expect.objectContaining({ code: 'ERR_SVID_NO_BUNDLE' }),
    );
    expect(verifyX509Svid((await authority.issue('/peer')).certificates, source).id).toBe(
      'spiffe://example.org/peer',
    );
  });

  it('WAPI-24: of a repeated hint the first is kept; empty hints repeat nothing', async () => {
    const entries = [
      await issue('/a', 'int'),
      await issue('/b', 'ext'),
      await issue('/c', 'int'),
      await issue('/d'),
      await issue('/e'),
    ];
    api.pushTo('fetchX509SVID', { svids: entries });
    const paths = (await open()).svids().map(({ id }) => id.slice(-2));
    expect(paths).toEqual(['/a', '/b', '/d', '/e']);
  });

  it('WAPI-26: what was redacted is no longer used', async () => {
    api.pushTo('fetchX509SVID', { svids: [await issue('/a'), await issue('/b')] });
    const source = await open();
    api.pushTo('fetchX509SVID', { svids: [await issue('/b')] });
    await eventually(() => source.svids().length === 1);
    expect(source.current().id).toBe('spiffe://example.org/b');
    api.push(DENIED);
    await saw('denied');
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_NO_IDENTITY' }));
    expect(source.x509Bundle(own)).toBeUndefined();
  });
});

describe('the JWT profile', () => {
  it('WAPI-26: tokens that were kept are not used after PermissionDenied', async () => {
    api.pushTo('fetchJWTBundles', { bundles: tokens.jwtBundles });
    api.jwtSvid = async () => ({ svids: [await tokens.jwt()] });
    const source = keep(await JwtSource.open({ endpoint: api.endpoint, maxBackoff: 100 }));
    await source.svid({ audience: 'a' });
    api.jwtSvid = () => DENIED;
    api.pushTo('fetchJWTBundles', DENIED);
    await eventually(() => source.jwtBundle(own) === undefined);
    await expect(source.svid({ audience: 'a' })).rejects.toMatchObject({ code: 'ERR_NO_IDENTITY' });
  });

  it('WAPI-50: the endpoint can be asked to validate, and its no is a no', async () => {
    using client = new WorkloadApiClient(api.endpoint);
    const { svid: token } = await tokens.jwt();
    api.validation = ({ audience, svid }) =>
      audience === 'a' && svid === token
        ? {
            spiffeId: 'spiffe://example.org/web',
            claims: { sub: 'spiffe://example.org/web', aud: ['a'], n: 1 },
          }
        : { code: 'INVALID_ARGUMENT', message: 'bad token' };
    expect(await client.validateJwtSvid(token, 'a')).toEqual({
      id: 'spiffe://example.org/web',
      claims: { sub: 'spiffe://example.org/web', aud: ['a'], n: 1 },
    });
    const failure = (...args: [string, string]) =>
      client.validateJwtSvid(...args).catch((error: unknown) => error);
    expect(await failure(`${token}x`, 'a')).toMatchObject({ code: 'ERR_SVID_UNTRUSTED' });
    expect(await failure(token, '')).toBeInstanceOf(TypeError);
    api.validation = () => ({ spiffeId: 'spiffe://example.org/web', claims: { aud: ['b'] } });
    expect(await failure(token, 'a')).toMatchObject({ code: 'ERR_WORKLOAD_API' });
  });

  it('WAPI-51: validated here, a token needs the bundle of its own trust domain', async () => {
    api.pushTo('fetchJWTBundles', { bundles: tokens.jwtBundles });
    const source = keep(await JwtSource.open({ endpoint: api.endpoint }));
    const mine = await tokens.jwt();
    expect(source.validateLocally(mine.svid, 'a').id).toBe('spiffe://example.org/web');
    const stray = await tokens.jwt({ id: 'spiffe://other.org/web' });
    expect(() => source.validateLocally(stray.svid, 'a')).toThrow(
      expect.objectContaining({ code: 'ERR_SVID_NO_BUNDLE' }),
    );
  });
});

describe('the WIT profile', () => {
  const start = async (...svids: Awaited<ReturnType<typeof tokens.wit>>[]) => {
    api.pushTo('fetchWITSVID', { svids });
    api.pushTo('fetchWITBundles', { bundles: tokens.witBundles });
    return openWit();
  };

  it('WAPI-61: after Unimplemented, nothing is asked again', async () => {
    for (const stream of ['fetchWITSVID', 'fetchWITBundles'] as const)
      api.pushTo(stream, { code: 'UNIMPLEMENTED', message: 'no WIT here' });
    await expect(openWit()).rejects.toMatchObject({ code: 'ERR_WORKLOAD_API' });
    expect(api.headersOf('fetchWITSVID')).toHaveLength(1);
    expect(api.headersOf('fetchWITBundles').length).toBeLessThanOrEqual(1);
  });

  it('STAB-01: WIT-SVIDs are off unless they are switched on', async () => {
    const off = WitSource.open({ endpoint: api.endpoint, experimental: {} });
    await expect(off).rejects.toBeInstanceOf(TypeError);
    using client = new WorkloadApiClient(api.endpoint);
    expect(() => client.fetchWitSvid({ experimental: {} })).toThrow(TypeError);
    expect(() => client.fetchWitBundles({ experimental: {} })).toThrow(TypeError);
    expect(api.headersOf('fetchWITSVID')).toEqual([]);
  });

  it('WAPI-63: the key must be private and that of the token', async () => {
    const good = await tokens.wit();
    const source = await start(good);
    const { token } = source.current();
    const stranger = JSON.parse((await tokens.wit()).witSvidKey) as Record<string, string>;
    const { d: _, ...publicPart } = JSON.parse(good.witSvidKey) as Record<string, string>;
    for (const key of [JSON.stringify(stranger), JSON.stringify(publicPart), 'garbage', ''])
      api.pushTo('fetchWITSVID', { svids: [{ ...(await tokens.wit()), witSvidKey: key }] });
    const last = await tokens.wit();
    api.pushTo('fetchWITSVID', { svids: [last] });
    await eventually(() => source.current().token !== token);
    expect(source.current().token).toBe(last.witSvid);
  });

  it('WAPI-64: of a repeated hint the first is kept', async () => {
    const entries = await Promise.all(
      ['a', 'b', 'c'].map((name, at) =>
        tokens.wit({ id: `spiffe://example.org/${name}`, hint: at === 1 ? 'y' : 'x' }),
      ),
    );
    const source = await start(...entries);
    expect(source.svids().map(({ id }) => id.slice(-2))).toEqual(['/a', '/b']);
  });

  it('WAPI-65: after PermissionDenied the WIT-SVID is no longer used', async () => {
    const source = await start(await tokens.wit());
    api.pushTo('fetchWITSVID', DENIED);
    await eventually(() => source.svids().length === 0);
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_NO_IDENTITY' }));
  });
});

describe('several identities', () => {
  it('WAPI-80: the first is the default, as the endpoint ordered them', async () => {
    api.pushTo('fetchX509SVID', { svids: [await issue('/z'), await issue('/a')] });
    const source = await open();
    expect(source.current().id).toBe('spiffe://example.org/z');
    expect(source.svids().map(({ id }) => id)).toEqual(['spiffe://example.org/z', 'spiffe://example.org/a']);
  });

  it('WAPI-82: a hint that is not there is a clear error and never another identity', async () => {
    api.pushTo('fetchX509SVID', { svids: [await issue('/a', 'internal'), await issue('/b', 'external')] });
    const source = await open({ hint: 'external' });
    expect(source.current().id).toBe('spiffe://example.org/b');
    api.pushTo('fetchX509SVID', { svids: [await issue('/a', 'internal'), await issue('/b')] });
    await eventually(() => source.svids()[1]?.hint === '');
    expect(() => source.current()).toThrow(
      /no identity with the hint "external"; it gave spiffe:\/\/example.org\/a \(hint "internal"\)/,
    );
  });
});

describe('contradictions in the text, as decided', () => {
  it('C-10: the service has no package', () => {
    expect(SpiffeWorkloadAPI.typeName).toBe('SpiffeWorkloadAPI');
    expect(SpiffeWorkloadAPI.methods.map(({ name }) => name)).toEqual([
      'FetchX509SVID',
      'FetchX509Bundles',
      'FetchJWTSVID',
      'FetchJWTBundles',
      'ValidateJWTSVID',
      'FetchWITSVID',
      'FetchWITBundles',
    ]);
  });
  it('C-11: JWT bundles are bytes, WIT bundles are text', () => {
    const valueOf = (method: 'fetchJWTBundles' | 'fetchWITBundles') => {
      const [field] = SpiffeWorkloadAPI.method[method].output.fields;
      return field?.fieldKind === 'map' && field.mapKind === 'scalar' ? field.scalar : undefined;
    };
    expect([valueOf('fetchJWTBundles'), valueOf('fetchWITBundles')]).toEqual([12, 9]);
  });
  it('C-12: a WITSVID has no field for a bundle', () =>
    expect(WITSVIDSchema.fields.map(({ number, name }) => [number, name])).toEqual([
      [1, 'spiffe_id'],
      [2, 'wit_svid'],
      [3, 'wit_svid_key'],
      [4, 'hint'],
    ]));
  it('C-13: the first is the default in every profile', async () => {
    const [a, b] = ['spiffe://example.org/a', 'spiffe://example.org/b'];
    api.pushTo('fetchWITSVID', { svids: [await tokens.wit({ id: b }), await tokens.wit({ id: a })] });
    api.pushTo('fetchWITBundles', { bundles: tokens.witBundles });
    expect((await openWit()).current().id).toBe(b);
    api.jwtSvid = async () => ({ svids: [await tokens.jwt({ id: b }), await tokens.jwt({ id: a })] });
    api.pushTo('fetchJWTBundles', { bundles: tokens.jwtBundles });
    const source = keep(await JwtSource.open({ endpoint: api.endpoint }));
    expect((await source.svid({ audience: 'a' })).id).toBe(b);
  });
  it('C-18: an empty authority is none; a set one is refused', () => {
    expect(workloadApiTarget('unix:///abs')).toBe(workloadApiTarget('unix:/abs'));
    expect(() => workloadApiTarget('unix://foo/abs')).toThrow(SpiffeError);
  });
});

describe('what an answer must be', () => {
  it('WAPI-10: a JWT-SVID for another audience, of another ID, or under another name is discarded', async () => {
    using client = new WorkloadApiClient(api.endpoint);
    const id = parseSpiffeId('spiffe://example.org/web');
    const wrong = [
      await tokens.jwt({ audience: ['b'] }),
      await tokens.jwt({ id: 'spiffe://example.org/other' }),
      { ...(await tokens.jwt()), spiffeId: 'spiffe://example.org/other' },
      { ...(await tokens.jwt()), svid: 'x' },
    ];
    for (const svid of wrong) {
      api.jwtSvid = () => ({ svids: [svid] });
      await expect(client.fetchJwtSvids({ audience: 'a', id })).rejects.toMatchObject({
        code: 'ERR_WORKLOAD_API',
      });
    }
  });
});

describe('vectors 11.6', () => {
  const accepts = (uri: string, target: string) => expect(workloadApiTarget(uri), uri).toBe(target);
  const refuses = (...uris: readonly string[]) => {
    for (const uri of uris)
      expect(() => workloadApiTarget(uri), JSON.stringify(uri)).toThrow(
        expect.objectContaining({ code: 'ERR_ENDPOINT' }),
      );
  };

  it('E01: unix with an empty authority', () => accepts('unix:///run/a.sock', 'unix:/run/a.sock'));
  it('E02: unix without an authority', () => accepts('unix:/run/a.sock', 'unix:/run/a.sock'));
  it('E03: unix with an authority', () => refuses('unix://foo', 'unix://foo/a.sock'));
  it('E04: relative, empty, user, query, fragment', () =>
    refuses('unix:rel.sock', 'unix://', 'unix://u@h/p', 'unix:///a?x', 'unix:///a#f', 'unix:'));
  it('E05: tcp with an address and a port', () => {
    accepts('tcp://127.0.0.1:8000', 'ipv4:127.0.0.1:8000');
    accepts('tcp://[::1]:8000', 'ipv6:[::1]:8000');
  });
  it('E06: tcp with less or more', () =>
    refuses(
      ...['', ':', ':8000/', ':8000/foo', ':8000?q', ':8000#f'].map((rest) => `tcp://127.0.0.1${rest}`),
      'tcp://u@127.0.0.1:8000',
      'tcp:opaque',
      'tcp://',
    ));
  it('E06b: a port out of range', () => refuses('tcp://127.0.0.1:99999', 'tcp://127.0.0.1:0'));
  it('E07: tcp with a host name', () => refuses('tcp://localhost:8000'));
  it('E08: other schemes and no scheme', () =>
    refuses('http://127.0.0.1:8000', '/run/a.sock', 'blah', '\t', 'unix:///a\n#', ''));
  it('E08b: a scheme in upper case', () => accepts('UNIX:///run/a.sock', 'unix:/run/a.sock'));
  it('E09: a named pipe of Windows is not in the standard', () => refuses('npipe:name'));
  it('E10: nothing set', () => {
    const before = process.env[ENDPOINT_VARIABLE];
    delete process.env[ENDPOINT_VARIABLE];
    try {
      expect(() => workloadApiTarget()).toThrow(expect.objectContaining({ code: 'ERR_ENDPOINT' }));
    } finally {
      if (before !== undefined) process.env[ENDPOINT_VARIABLE] = before;
    }
  });
});
