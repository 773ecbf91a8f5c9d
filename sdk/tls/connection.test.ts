// What happens to connections after their handshake, and to attempts at one.
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect as connectPlain, createServer as createPlainServer } from 'node:net';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import {
  authorizeAny,
  authorizeId,
  connectTls,
  createTlsServer,
  guardTlsServer,
  peerOf,
  reverify,
  tlsClientOptions,
  tlsServerOptions,
  verifyPeer,
  type Authorizer,
} from './index.ts';
import { type FixedSource, listening } from './testing.ts';

import {
  authority,
  clientSvid,
  closed,
  dial,
  echo,
  other,
  serve,
  serverSvid,
  sourceOf,
  toClose,
  useTls,
} from './testing-tls.ts';

useTls();

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

  it('know which SVID they presented when a rotation overtakes the handshake', async () => {
    const presented: string[] = [];
    const source = sourceOf(serverSvid);
    const next = await authority.issue('/server');
    const server = createTlsServer({ source, authorize: authorizeAny() }, (socket, { svid }) => {
      presented.push(svid.serial);
    });
    toClose.push(() => server.close());
    const port = await listening(server);
    const raw = connectPlain(port, '127.0.0.1');
    const accepted = once(server.server, 'connection');
    await accepted; // the certificate is chosen, the handshake has not begun
    source.set({ svid: next });
    const socket = await dial(port, { target: { socket: raw } });
    await eventually(() => presented.length === 1);
    expect(presented).toEqual([peerOf(socket)!.serial]);
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
    // The clock of one side runs so fast that the peer has a second left.
    const now = () => Date.now() + skew;
    const skew = serverSvid.notAfter - Date.now() - 1_000;
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
    expect(performance.now() - started).toBeLessThan(5_000);
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
describe('resumed sessions', () => {
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
