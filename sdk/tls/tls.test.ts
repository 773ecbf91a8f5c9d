// Real handshakes on loopback.
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectPlain, createServer as createPlainServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { issueThroughIntermediate } from '../../test/runtime/intermediate.ts';
import { keylessClient, keylessServer, type Outcome } from '../../test/runtime/keyless-peer.ts';
import { x509BundleSet, type X509BundleSource } from '../bundle/x509-bundle.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import {
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  authorizeOneOf,
  connectTls,
  createTlsServer,
  guardTlsServer,
  peerOf,
  reverify,
  tlsClientOptions,
  tlsServerOptions,
  verifyPeer,
  type Authorizer,
  type ConnectTlsOptions,
  type CreateTlsServerOptions,
  type TlsRefusal,
} from './index.ts';
import { FixedSource, listening } from './testing.ts';

const bun = 'Bun' in globalThis;
let authority: TestAuthority;
let other: TestAuthority;
let partner: TestAuthority;
let serverSvid: X509Svid;
let clientSvid: X509Svid;
const toClose: (() => unknown)[] = [];

beforeAll(async () => {
  [authority, other, partner] = await Promise.all([
    testAuthority(),
    testAuthority(),
    testAuthority('partner.org'),
  ]);
  serverSvid = await authority.issue('/server');
  clientSvid = await authority.issue('/client');
});
afterEach(() => {
  for (const close of toClose.splice(0)) close();
});

const bundlesOf = (...authorities: TestAuthority[]): X509BundleSource =>
  x509BundleSet(
    authorities.flatMap(({ bundles }) =>
      ['example.org', 'partner.org'].flatMap((name) => bundles.x509Bundle(parseTrustDomain(name)) ?? []),
    ),
  );
const sourceOf = (svid: X509Svid | Error, bundles = authority.bundles) => new FixedSource(svid, bundles);

interface Served {
  readonly port: number;
  readonly sockets: TLSSocket[];
  readonly refusals: TlsRefusal[];
  readonly source: FixedSource;
  bytes: number;
}

async function serve(options: Partial<CreateTlsServerOptions> = {}): Promise<Served> {
  const source = (options.source as FixedSource | undefined) ?? sourceOf(serverSvid);
  const served: Served = { port: 0, sockets: [], refusals: [], source, bytes: 0 };
  const guarded = createTlsServer(
    {
      authorize: authorizeMemberOf('example.org'),
      onRefused: (refusal) => served.refusals.push(refusal),
      ...options,
      source,
    },
    (socket) => {
      served.sockets.push(socket);
      socket.on('data', (bytes: Buffer) => {
        served.bytes += bytes.length;
        socket.write(bytes);
      });
    },
  );
  toClose.push(() => guarded.close());
  return Object.assign(served, { port: await listening(guarded) });
}

async function dial(port: number, options: Partial<ConnectTlsOptions> = {}): Promise<TLSSocket> {
  const socket = await connectTls({
    target: { host: '127.0.0.1', port },
    source: sourceOf(clientSvid),
    authorize: authorizeId(authority.id('/server')),
    ...options,
  });
  toClose.push(() => socket.destroy());
  return socket;
}

async function echo(socket: TLSSocket, text: string): Promise<string> {
  socket.write(text);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString();
}

const closed = (socket: TLSSocket) => eventually(() => socket.destroyed);

describe('mutual TLS', () => {
  it('X509-27: carries bytes between verified peers, whatever the host name', async () => {
    const served = await serve();
    const socket = await dial(served.port, { servername: 'no-such-name.invalid' });
    expect(await echo(socket, 'hello')).toBe('hello');
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(peerOf(socket)).toMatchObject({ id: authority.id('/server'), serial: serverSvid.serial });
    expect(peerOf(served.sockets[0]!)).toMatchObject({ id: authority.id('/client') });
    expect(peerOf({})).toBeUndefined();
  });

  it('keeps what the server says first', async () => {
    const guarded = createTlsServer(
      { source: sourceOf(serverSvid), authorize: authorizeAny() },
      (socket) => void socket.write('welcome'),
    );
    toClose.push(() => guarded.close());
    const socket = await dial(await listening(guarded));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('welcome');
  });

  it('verifies chains with intermediates, both ways', async () => {
    const served = await serve({ source: sourceOf(await issueThroughIntermediate(authority, '/server')) });
    const ours = await issueThroughIntermediate(authority, '/client');
    const socket = await dial(served.port, { source: sourceOf(ours) });
    expect(await echo(socket, 'hello')).toBe('hello');
    expect(peerOf(served.sockets[0]!)!.serial).toBe(ours.serial);
    const foreign = await issueThroughIntermediate(other, '/client');
    await closed(await dial(served.port, { source: sourceOf(foreign) }));
    expect(served.refusals.map(({ error }) => error)).toMatchObject([{ code: 'ERR_SVID_UNTRUSTED' }]);
  });

  it('BRKE-04: speaks over a Unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sigil-tls-'));
    toClose.push(() => rm(folder, { recursive: true }));
    const guarded = createTlsServer({ source: sourceOf(serverSvid), authorize: authorizeAny() }, (socket) => {
      socket.on('data', (bytes) => socket.write(bytes));
    });
    toClose.push(() => guarded.close());
    const path = join(folder, 'tls.sock');
    await new Promise<void>((resolve) => guarded.server.listen(path, resolve));
    const socket = await dial(0, { target: { path } });
    expect(await echo(socket, 'hello')).toBe('hello');
  });

  it('speaks through a stream that is already open', async () => {
    const served = await serve();
    const raw = connectPlain(served.port, '127.0.0.1');
    await once(raw, 'connect');
    const socket = await dial(served.port, { target: { socket: raw } });
    expect(await echo(socket, 'over')).toBe('over');
  });

  it('speaks TLS 1.2 only where both ends allow it', async () => {
    const strict = await serve();
    const refusal = { code: 'ERR_TLS' };
    const old = connect({ port: strict.port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    const [error] = await once(old, 'error');
    expect(error).toBeInstanceOf(Error);
    expect(old.getPeerCertificate(true)?.raw).toBeUndefined();
    expect(strict.sockets).toHaveLength(0);
    const lenient = createServer({
      ...tlsServerOptions({ source: sourceOf(serverSvid), minVersion: 'TLSv1.2' }),
      maxVersion: 'TLSv1.2',
    });
    lenient.on('secureConnection', (socket) => socket.on('error', () => undefined));
    lenient.on('tlsClientError', () => undefined);
    toClose.push(() => lenient.close());
    const port = await listening({ server: lenient });
    await expect(dial(port)).rejects.toMatchObject(refusal);
    const socket = await dial(port, { minVersion: 'TLSv1.2' });
    expect(socket.getProtocol()).toBe('TLSv1.2');
  });
});

describe('a server is refused before a byte leaves', () => {
  it.each<[string, Partial<ConnectTlsOptions> | (() => Partial<ConnectTlsOptions>), string]>([
    ['another ID', { authorize: authorizeId('spiffe://example.org/web') }, 'ERR_SVID_UNEXPECTED_ID'],
    ['an empty list', { authorize: authorizeOneOf([]) }, 'ERR_SVID_UNEXPECTED_ID'],
    ['another trust domain', { authorize: authorizeMemberOf('partner.org') }, 'ERR_SVID_UNEXPECTED_ID'],
    [
      'X509-26: its CA is not in the bundle',
      () => ({ source: sourceOf(clientSvid, other.bundles) }),
      'ERR_SVID_UNTRUSTED',
    ],
    [
      'WAPI-11: there is no bundle of its trust domain',
      () => ({ source: sourceOf(clientSvid, partner.bundles) }),
      'ERR_SVID_NO_BUNDLE',
    ],
    ['it has expired', { now: () => Date.now() + 86_400_000 }, 'ERR_SVID_EXPIRED'],
    ['it is not valid yet', { now: () => Date.now() - 86_400_000 }, 'ERR_SVID_NOT_YET_VALID'],
  ])('%s', async (_name, options, code) => {
    const served = await serve();
    const attempt = dial(served.port, typeof options === 'function' ? options() : options);
    await expect(attempt).rejects.toMatchObject({ code });
    await eventually(() => served.sockets.every((socket) => socket.destroyed));
    expect(served.bytes).toBe(0);
  });

  it('an authorizer that answers later is refused: it would be too late', async () => {
    const served = await serve();
    const late = (async () => undefined) as unknown as Authorizer;
    await expect(dial(served.port, { authorize: late })).rejects.toThrow('synchronous');
  });

  it('it presents a certificate whose key it does not have', async () => {
    const outcomes: Outcome[] = [];
    const thief = await keylessServer({ certificates: serverSvid.certificates }, (outcome) =>
      outcomes.push(outcome),
    );
    toClose.push(() => thief.close());
    const { port } = thief.address() as AddressInfo;
    await expect(dial(port)).rejects.toMatchObject({ code: 'ERR_TLS' });
    await eventually(() => outcomes.length === 1);
    expect(outcomes).toEqual([{ kind: 'refused' }]);
  });
});

describe('a client is refused before a byte is heard', () => {
  it.each<[string, () => Promise<X509Svid>]>([
    ['X509-26: of another authority of the same name', () => other.issue('/client')],
    ['WAPI-11: of a trust domain without a bundle', () => partner.issue('/client')],
    ['expired', () => authority.issue('/client', { notAfter: Date.now() - 2_000 })],
    ['not yet valid', () => authority.issue('/client', { notBefore: Date.now() + 60_000 })],
  ])('%s', async (_name, make) => {
    const served = await serve();
    const socket = await dial(served.port, { source: sourceOf(await make()) }).catch(() => undefined);
    socket?.write('hello');
    await eventually(() => served.refusals.length === 1);
    if (socket !== undefined) await closed(socket);
    expect(served.sockets).toHaveLength(0);
    expect(served.bytes).toBe(0);
  });

  it('of a partner whose bundle is there, but who is not accepted', async () => {
    const served = await serve({ source: sourceOf(serverSvid, bundlesOf(authority, partner)) });
    await dial(served.port, { source: sourceOf(await partner.issue('/client'), authority.bundles) });
    await eventually(() => served.refusals.length === 1);
    expect(served.refusals[0]!.error).toMatchObject({ code: 'ERR_SVID_UNEXPECTED_ID' });
  });

  it('without a certificate', async () => {
    const served = await serve();
    const socket = connect({ port: served.port, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    socket.write('hello');
    await eventually(() => served.refusals.length === 1);
    expect(served.refusals[0]!.error).toMatchObject({ code: 'ERR_SVID_NOT_AN_SVID' });
    expect(served.bytes).toBe(0);
    socket.destroy();
  });

  it('with a certificate whose key it does not have', async () => {
    const served = await serve();
    const honest = await keylessClient(served.port, clientSvid, 'hello');
    expect(honest).toEqual({ kind: 'believed', data: 'hello' });
    const thief = await keylessClient(served.port, { certificates: clientSvid.certificates }, 'hello');
    expect(thief).toEqual({ kind: 'refused' });
    expect(served.sockets).toHaveLength(1);
  });

  it('that says nothing', async () => {
    const served = await serve({ handshakeTimeout: 100 });
    const silent = connectPlain(served.port, '127.0.0.1');
    silent.on('error', () => undefined).resume();
    await eventually(() => silent.destroyed || silent.readableEnded);
    silent.destroy();
  });

  it('while the server has no identity of its own', async () => {
    const served = await serve();
    served.source.set({ svid: new Error('withdrawn') });
    await dial(served.port).catch(() => undefined);
    await eventually(() => served.refusals.length === 1);
    expect(served.refusals[0]!.error.message).toBe('withdrawn');
  });
});

describe('connections', () => {
  it('new ones use the new SVID; those that stand are not touched', async () => {
    const served = await serve();
    const before = await dial(served.port);
    const next = await authority.issue('/server');
    served.source.set({ svid: next });
    const after = await dial(served.port);
    expect(peerOf(after)!.serial).toBe(next.serial);
    expect(peerOf(before)!.serial).toBe(serverSvid.serial);
    expect(await echo(before, 'still')).toBe('still');
  });

  it('new ones use the new SVID of a source that tells nobody', async () => {
    let current = serverSvid;
    const bundleOf = (name: TrustDomain) => authority.bundles.x509Bundle(name);
    const quiet = { current: () => current, x509Bundle: bundleOf };
    const guarded = createTlsServer({ source: quiet, authorize: authorizeAny() }, () => undefined);
    toClose.push(() => guarded.close());
    const port = await listening(guarded);
    current = await authority.issue('/server');
    expect(peerOf(await dial(port))!.serial).toBe(current.serial);
  });

  it.each(['client', 'server'])('end on the %s when the SVID of the peer expires', async (side) => {
    // The clock of one side runs so fast that the peer has 150 ms left.
    const now = () => Date.now() + skew;
    const skew = serverSvid.notAfter - Date.now() - 150;
    const longer = { notAfter: serverSvid.notAfter + 600_000 };
    const [lasting, brief] = [
      await authority.issue('/x', longer),
      await authority.issue('/x', { notAfter: serverSvid.notAfter }),
    ];
    const skewed = { now, authorize: authorizeAny() };
    const onServer = side === 'server';
    const served = await serve({ source: sourceOf(onServer ? lasting : brief), ...(onServer ? skewed : {}) });
    const source = sourceOf(onServer ? brief : lasting);
    const socket = await dial(served.port, {
      authorize: authorizeAny(),
      source,
      ...(onServer ? {} : skewed),
    });
    const started = performance.now();
    expect(await echo(socket, 'in time')).toBe('in time');
    await closed(socket);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('may be told to outlive it', async () => {
    const served = await serve();
    const skew = serverSvid.notAfter - Date.now() - 20;
    const socket = await dial(served.port, { now: () => Date.now() + skew, endAtExpiry: false });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await echo(socket, 'still')).toBe('still');
    expect(reverify(socket)).toBe(false);
    expect(socket.destroyed).toBe(true);
  });

  it.each(['client', 'server'])('end on the %s when the CA of the peer is withdrawn', async (side) => {
    const served = await serve();
    const source = sourceOf(clientSvid);
    const socket = await dial(served.port, { source });
    await echo(socket, 'x');
    const judge = side === 'client' ? source : served.source;
    judge.set({ bundles: authority.bundles });
    expect(await echo(socket, 'y')).toBe('y');
    judge.set({ bundles: other.bundles });
    await closed(socket);
    await eventually(() => served.sockets[0]!.destroyed && source.followers === 0);
    expect(served.source.followers).toBe(1); // the server itself
  });

  it('end by hand where the source tells nobody', async () => {
    const served = await serve();
    let { bundles } = authority;
    const source = {
      current: () => clientSvid,
      x509Bundle: (name: TrustDomain) => bundles.x509Bundle(name),
    };
    const socket = await dial(served.port, { source });
    expect(reverify(socket)).toBe(true);
    ({ bundles } = other);
    expect(reverify(socket)).toBe(false);
    await closed(socket);
    expect(() => reverify({})).toThrow(TypeError);
  });
});

describe('attempts', () => {
  it('end with their signal and in time, and leave no socket', async () => {
    const mute = createPlainServer();
    toClose.push(() => mute.close());
    const port = await listening({ server: mute });
    await expect(dial(port, { timeout: 50 })).rejects.toMatchObject({ code: 'ERR_TLS' });
    const reason = new Error('enough');
    const controller = new AbortController();
    const attempt = dial(port, { signal: controller.signal });
    controller.abort(reason);
    await expect(attempt).rejects.toBe(reason);
    await expect(dial(port, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('say what the system says where nobody listens', async () => {
    const gone = createPlainServer();
    const port = await listening({ server: gone });
    await new Promise((resolve) => gone.close(resolve));
    await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('without an SVID are not made', async () => {
    const served = await serve();
    await expect(dial(served.port, { source: sourceOf(new Error('none')) })).rejects.toThrow('none');
    expect(() =>
      createTlsServer({ source: sourceOf(new Error('none')), authorize: authorizeAny() }, () => {}),
    ).toThrow('none');
  });

  it('need an authorizer', async () => {
    const nobody = undefined as unknown as Authorizer;
    expect(() =>
      connectTls({ target: { path: '/x' }, source: sourceOf(clientSvid), authorize: nobody }),
    ).toThrow(TypeError);
    expect(() => createTlsServer({ source: sourceOf(serverSvid), authorize: nobody }, () => {})).toThrow(
      TypeError,
    );
  });

  it('agree on a protocol or fail', async () => {
    const served = await serve({ alpn: ['h2'] });
    expect((await dial(served.port, { alpn: ['h2', 'http/1.1'] })).alpnProtocol).toBe('h2');
    await expect(dial(served.port, { alpn: ['http/1.1'] })).rejects.toMatchObject({ code: 'ERR_TLS' });
    const silent = await serve();
    await expect(dial(silent.port, { alpn: ['h2'] })).rejects.toMatchObject({ code: 'ERR_TLS' });
    expect((await dial(silent.port, { alpn: ['http/1.1'] })).destroyed).toBe(false);
  });
});

describe('guardTlsServer', () => {
  it('hides refused clients from listeners that came before it and after it', async () => {
    const source = sourceOf(serverSvid);
    const server = createServer(tlsServerOptions({ source }));
    const heard: string[] = [];
    server.on('secureConnection', () => heard.push('before'));
    const guard = guardTlsServer(server, { source, authorize: authorizeId(authority.id('/client')) });
    server.on('secureConnection', () => heard.push('after'));
    toClose.push(() => server.close());
    const port = await listening({ server });
    const stranger = await dial(port, { source: sourceOf(serverSvid) });
    await closed(stranger);
    expect(heard).toEqual([]);
    await dial(port);
    await eventually(() => heard.length === 2);
    expect(guard.connections.size).toBe(1);
  });
});

// A session is resumed with the certificate of the first handshake: what was true then may not be now.
describe.skipIf(bun)('resumed sessions', () => {
  it.each<[string, (source: FixedSource) => { now?: () => number }, string]>([
    ['after expiry', () => ({ now: () => Date.now() + 3_500_000 }), 'ERR_SVID_EXPIRED'],
    ['after withdrawal', (source) => (source.set({ bundles: other.bundles }), {}), 'ERR_SVID_UNTRUSTED'],
  ])('are refused %s', async (_name, change, code) => {
    const source = sourceOf(serverSvid);
    let options: { now?: () => number } = {};
    // Tickets on, against our advice: what matters is that the verifier runs all the same.
    const server = createServer({ ...tlsServerOptions({ source }), secureOptions: 0 });
    const verdicts: { reused: boolean; verdict: string }[] = [];
    server.on('secureConnection', (socket) => {
      socket.on('error', () => undefined);
      const reused = socket.isSessionReused();
      try {
        verifyPeer(socket, { source, authorize: authorizeAny(), ...options });
        verdicts.push({ reused, verdict: 'accepted' });
        socket.end('ok');
      } catch (error) {
        verdicts.push({ reused, verdict: (error as { code: string }).code });
        socket.destroy();
      }
    });
    toClose.push(() => server.close());
    const port = await listening({ server });
    const client = { port, ...tlsClientOptions({ source: sourceOf(clientSvid) }) };
    const first = connect(client);
    const [session] = (await once(first, 'session')) as [Buffer];
    first.destroy();
    options = change(source);
    const replay = connect({ ...client, session });
    replay.on('error', () => undefined).resume();
    await once(replay, 'close');
    expect(verdicts).toEqual([
      { reused: false, verdict: 'accepted' },
      { reused: true, verdict: code },
    ]);
  });
});
