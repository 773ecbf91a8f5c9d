// Real handshakes on loopback: who is believed, and who is not.
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectPlain, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { issueThroughIntermediate } from '../../test/runtime/intermediate.ts';
import { keylessClient, keylessServer, type Outcome } from '../../test/runtime/keyless-peer.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import {
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  authorizeOneOf,
  createTlsServer,
  peerOf,
  tlsServerOptions,
  type Authorizer,
  type ConnectTlsOptions,
} from './index.ts';
import { listening } from './testing.ts';

import {
  authority,
  bundlesOf,
  clientSvid,
  closed,
  dial,
  echo,
  other,
  partner,
  serve,
  serverSvid,
  sourceOf,
  toClose,
  useTls,
} from './testing-tls.ts';

useTls();

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
