// The contract of stream sockets, against the implementation of whichever runtime runs this file.
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../test-support/certificates.ts';
import { eventually } from '../test-support/eventually.ts';
import { Recorder, text } from '../test-support/recorder.ts';
import { materialOf, tlsOf } from '../test-support/tls.ts';
import { formatAddress, type Address } from './address.ts';
import type { Listener, ListenOptions, Refusal, Socket, TlsSettings, Transport } from './socket.ts';
import { loadTransport } from './transport.ts';

const LOOPBACK: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 };
const authority = createAuthority('example.org');
const intermediate = authority.issue({ ca: true });
const serverSvid = intermediate.issue({ uris: ['spiffe://example.org/server'] });
const clientSvid = authority.issue({ uris: ['spiffe://example.org/client'] });
const server = tlsOf(serverSvid, authority);
const client = tlsOf(clientSvid, authority);

let transport: Transport;
let folder: string;
const open: { listener: Listener; served: Recorder[] }[] = [];
const clients: Socket[] = [];

beforeAll(async () => {
  transport = await loadTransport();
  folder = await mkdtemp(join(tmpdir(), 'sigil-transport-'));
});
afterEach(() => {
  for (const socket of clients.splice(0)) socket.destroy();
  for (const { listener, served } of open.splice(0)) {
    listener.close();
    for (const recorder of served) recorder.socket?.destroy();
  }
});
afterAll(() => rm(folder, { recursive: true }));

interface Served {
  readonly address: Address;
  readonly served: Recorder[];
  readonly refusals: Refusal[];
}

async function serve(tls?: TlsSettings, options: Partial<ListenOptions> = {}): Promise<Served> {
  const served: Recorder[] = [];
  const refusals: Refusal[] = [];
  const listener = await transport.listen({
    address: LOOPBACK,
    tls,
    maxConnections: 100,
    handshakeTimeout: 5_000,
    onSocket(socket) {
      const recorder = new Recorder(socket);
      served.push(recorder);
      return recorder;
    },
    onRefused: (refusal) => refusals.push(refusal),
    ...options,
  });
  open.push({ listener, served });
  return { address: listener.address, served, refusals };
}

async function dial(address: Address, tls?: TlsSettings): Promise<{ socket: Socket; seen: Recorder }> {
  const seen = new Recorder();
  const socket = await transport.connect({ address, tls, timeout: 5_000 }, seen);
  seen.socket = socket;
  clients.push(socket);
  return { socket, seen };
}

// A peer that ends at once may be heard of as a half-close only: TCP says FIN for both.
function gone(recorder: Recorder): boolean {
  return recorder.ended || recorder.closed;
}

describe.each([
  ['plain', undefined, undefined],
  ['mutual TLS', server, client],
] as const)('%s', (_, serverTls, clientTls) => {
  it('carries bytes both ways', async () => {
    const { address, served } = await serve(serverTls);
    const { socket, seen } = await dial(address, clientTls);
    socket.write(text('hello'));
    await eventually(() => expect(served[0]?.text()).toBe('hello'));
    served[0]!.socket!.write(text('welcome'));
    await eventually(() => expect(seen.text()).toBe('welcome'));
    expect(served[0]!.socket!.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(socket.remoteAddress).toBe(formatAddress(address));
  });

  it('half-closes: the other direction goes on, and what was written arrives first', async () => {
    const { address, served } = await serve(serverTls);
    const { socket, seen } = await dial(address, clientTls);
    const body = new Uint8Array(3_000_000).fill(97);
    socket.write(body);
    socket.end();
    await eventually(() => expect(served[0]?.ended).toBe(true));
    expect(served[0]!.bytes).toBe(body.length);
    expect(served[0]!.closed).toBe(false);
    served[0]!.socket!.write(text('still here'));
    await eventually(() => expect(seen.text()).toBe('still here'));
    served[0]!.socket!.end();
    await eventually(() => expect(seen.closed && served[0]!.closed).toBe(true));
  });

  it('stops a writer whose reader pauses, and loses nothing', async () => {
    const { address, served } = await serve(serverTls);
    const { socket, seen } = await dial(address, clientTls);
    socket.write(text('x'));
    await eventually(() => expect(served[0]?.bytes).toBe(1));
    const reader = served[0]!.socket!;
    reader.pause();
    const piece = new Uint8Array(65_536).fill(98);
    let written = 0;
    while (written < 1_000 && socket.write(piece)) written++;
    expect(written).toBeLessThan(1_000); // 64 MB do not fit in any kernel buffer
    seen.drains = 0;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(served[0]!.bytes).toBeLessThan(20_000_000);
    reader.resume();
    await eventually(() => expect(seen.drains).toBeGreaterThan(0));
    await eventually(() => expect(served[0]!.bytes).toBe(1 + (written + 1) * piece.length));
  });

  it('reads nothing ahead while it is paused, on either side', async () => {
    const { address, served } = await serve(serverTls);
    const { socket, seen } = await dial(address, clientTls);
    socket.write(text('x'));
    await eventually(() => expect(served[0]?.bytes).toBe(1));
    const piece = new Uint8Array(65_536).fill(100);
    const accepted = served[0]!;
    for (const [writer, told, reader, read] of [
      [socket, seen, accepted.socket!, accepted],
      [accepted.socket!, accepted, socket, seen],
    ] as const) {
      const before = read.bytes;
      let left = 800; // 50 MB
      const pump = () => {
        while (left > 0) {
          left--;
          if (!writer.write(piece)) return;
        }
      };
      reader.pause();
      told.drained = pump;
      pump();
      await new Promise((resolve) => setTimeout(resolve, 200));
      // What is not written yet cannot have been read: the sender was stopped by the kernel's buffers.
      expect(left).toBeGreaterThan(500);
      reader.resume();
      await eventually(() => expect(read.bytes).toBe(before + 800 * piece.length));
      told.drained = () => undefined;
    }
  });

  it('carries 64 MB, with backpressure', { timeout: 30_000 }, async () => {
    const { address, served } = await serve(serverTls);
    const { socket, seen } = await dial(address, clientTls);
    const piece = new Uint8Array(256 * 1024).fill(99);
    let left = 256;
    const pump = () => {
      while (left > 0) {
        left--;
        if (!socket.write(piece)) return;
      }
      socket.end();
    };
    seen.drained = pump;
    pump();
    await eventually(() => expect(served[0]?.ended).toBe(true), 25_000);
    expect(served[0]!.bytes).toBe(256 * piece.length);
  });

  it('tells both sides of an abrupt end, once', async () => {
    const { address, served } = await serve(serverTls);
    const { socket, seen } = await dial(address, clientTls);
    socket.write(text('x'));
    await eventually(() => expect(served[0]?.bytes).toBe(1));
    socket.destroy();
    expect(seen.closed).toBe(false);
    await eventually(() => expect(seen.closed && gone(served[0]!)).toBe(true));
    socket.destroy();
    expect(socket.write(text('y'))).toBe(false);
    socket.end();
    socket.pause();
    socket.resume();
  });

  it('names the address that is in use', async () => {
    const { address } = await serve(serverTls);
    await expect(serve(serverTls, { address })).rejects.toThrow(`${formatAddress(address)} is in use`);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const taken: Address = { kind: 'tcp', host: '127.0.0.1', port };
    await expect(serve(serverTls, { address: taken })).rejects.toThrow(`127.0.0.1:${port} is in use`);
    other.close();
  });

  it('has room again at once when a peer leaves in the middle of a handshake', async () => {
    if (serverTls === undefined) return;
    const { address, served, refusals } = await serve(serverTls, {
      maxConnections: 1,
      handshakeTimeout: 60_000,
    });
    const leaving = await dial(address);
    leaving.socket.end();
    await eventually(() => expect(refusals.map((refusal) => refusal.reason)).toEqual(['tls']));
    const { socket } = await dial(address, clientTls);
    socket.write(text('x'));
    await eventually(() => expect(served[0]?.text()).toBe('x'));
  });

  it('is kept from nobody by connections that say nothing', async () => {
    if (serverTls === undefined) return; // without a handshake, a connection is served at once
    const { address, served, refusals } = await serve(serverTls, { maxConnections: 3 });
    const silent = await Promise.all(Array.from({ length: 3 }, () => dial(address)));
    const { socket } = await dial(address, clientTls);
    socket.write(text('x'));
    await eventually(() => expect(served[0]?.text()).toBe('x'));
    expect(refusals.map(({ error }) => error.message)).toEqual([
      'the TLS handshake made room for another connection',
    ]);
    // Those who leave in the middle of a handshake make room at once.
    for (const client of silent) client.socket.end();
    await eventually(() => expect(refusals).toHaveLength(3));
  });

  it('closes connections beyond the limit, and takes new ones when there is room again', async () => {
    const { address, served, refusals } = await serve(serverTls, { maxConnections: 1 });
    const first = await dial(address, clientTls);
    first.socket.write(text('x'));
    await eventually(() => expect(served).toHaveLength(1));
    await dial(address, clientTls).catch(() => undefined);
    await eventually(() => expect(refusals.map((refusal) => refusal.reason)).toContain('limit'));
    expect(served).toHaveLength(1);
    first.socket.destroy();
    await eventually(() => expect(gone(served[0]!)).toBe(true));
    served[0]!.socket!.destroy();
    await eventually(() => expect(served[0]!.closed).toBe(true));
    const again = await dial(address, clientTls);
    again.socket.write(text('y'));
    await eventually(() => expect(served[1]?.text()).toBe('y'));
  });
});

describe('connecting', () => {
  it('rejects where nobody listens', async () => {
    const { address } = await serve();
    open.pop()!.listener.close();
    await eventually(() => expect(dial(address)).rejects.toThrow());
    await expect(dial({ kind: 'unix', path: join(folder, 'none.sock') })).rejects.toThrow();
  });

  it('rejects in time where the peer says nothing to a handshake', async () => {
    const { address } = await serve();
    const seen = new Recorder();
    await expect(transport.connect({ address, tls: client, timeout: 100 }, seen)).rejects.toThrow('too long');
    expect(seen.closed).toBe(false);
  });
});

describe('Unix sockets', () => {
  it('carry bytes, are closed to other users, and survive a crash of their former owner', async () => {
    const path = join(folder, 'app.sock');
    const { address, served } = await serve(undefined, { address: { kind: 'unix', path } });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const { socket } = await dial(address);
    socket.write(text('hello'));
    await eventually(() => expect(served[0]?.text()).toBe('hello'));
    expect(served[0]!.socket!.remoteAddress).toBe('unix');
    await expect(serve(undefined, { address })).rejects.toThrow('in use');
  });

  it('are not made over a file', async () => {
    const path = join(folder, 'file');
    await writeFile(path, 'keep me');
    await expect(serve(undefined, { address: { kind: 'unix', path } })).rejects.toThrow('no socket');
  });
});

describe('identity', () => {
  it('is what the verifier says of the certificates that were sent, on both sides', async () => {
    const chains: number[][] = [];
    const tell = (tls: TlsSettings): TlsSettings => ({
      material: () => tls.material(),
      verify(chain) {
        chains.push(chain.map((der) => der.length));
        return tls.verify(chain);
      },
    });
    const { address, served } = await serve(tell(server));
    const { socket } = await dial(address, tell(client));
    socket.write(text('x'));
    await eventually(() => expect(served).toHaveLength(1));
    expect(socket.peer?.id).toBe('spiffe://example.org/server');
    expect(socket.peer?.serial).toBe(serverSvid.serial);
    expect(served[0]!.socket!.peer?.id).toBe('spiffe://example.org/client');
    const sent = [serverSvid, clientSvid].map((svid) => svid.chain.map((der) => der.length));
    expect(chains.toSorted((a, b) => b.length - a.length)).toEqual(sent);
  });

  it.each([
    ['self-signed', () => createAuthority('example.org')],
    [
      'of another authority',
      () => createAuthority('example.org').issue({ uris: ['spiffe://example.org/client'] }),
    ],
    [
      'expired',
      () => authority.issue({ uris: ['spiffe://example.org/client'], notAfter: Date.now() - 1_000 }),
    ],
    [
      'not yet valid',
      () => authority.issue({ uris: ['spiffe://example.org/a'], notBefore: Date.now() + 60_000 }),
    ],
    ['of another trust domain', () => authority.issue({ uris: ['spiffe://evil.example/client'] })],
    [
      'with two URI names',
      () => authority.issue({ uris: ['spiffe://example.org/a', 'spiffe://example.org/b'] }),
    ],
    ['of a trust domain itself', () => authority.issue({ uris: ['spiffe://example.org'] })],
    ['of a CA', () => authority.issue({ uris: ['spiffe://example.org/ca'], ca: true })],
    ['without a URI name', () => authority.issue({})],
    ['with a NUL in its name', () => authority.issue({ uris: ['spiffe://example.org/client\0.evil'] })],
  ])('of a client is refused before a byte is delivered: %s', async (_name, make) => {
    const bad = make();
    const presented = { ...bad, chain: bad.chain.length === 0 ? [bad.certificate] : bad.chain };
    const { address, served, refusals } = await serve(server);
    const attempt = dial(address, tlsOf(presented, authority));
    // In TLS 1.3 a client is connected before its certificate is judged: what counts is that it is closed, unheard.
    // Bun does not even load a signing certificate as one's own.
    const failure = await attempt.then(
      ({ socket }) => void socket.write(text('GET / HTTP/1.1\r\n\r\n')),
      String,
    );
    if (!failure?.includes('KEY_USAGE')) {
      await eventually(() => expect(refusals).toHaveLength(1));
      expect(refusals[0]!.reason).toBe('tls');
    }
    expect(served).toHaveLength(0);
    await attempt.then(({ seen }) => eventually(() => expect(gone(seen)).toBe(true))).catch(() => undefined);
  });

  it('of a server is refused before a byte is sent', async () => {
    const impostor = createAuthority('example.org').issue({ uris: ['spiffe://example.org/server'] });
    const { address, served } = await serve(tlsOf(impostor, authority));
    await expect(dial(address, client)).rejects.toThrow('does not lead to an authority');
    await eventually(() => expect(served.every(gone)).toBe(true));
    expect(served.every((recorder) => recorder.bytes === 0)).toBe(true);
  });

  it('is asked of every client: none, plain bytes and silence are refused', async () => {
    const { address, served, refusals } = await serve(server, { handshakeTimeout: 200 });
    const plain = await dial(address);
    plain.socket.write(text('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await eventually(() => expect(refusals).toHaveLength(1));
    const silent = await dial(address);
    await eventually(() => expect(refusals).toHaveLength(2));
    await eventually(() => expect(gone(silent.seen)).toBe(true));
    const { connect } = await import('node:tls');
    const port = address.kind === 'tcp' ? address.port : 0;
    const anonymous = connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    anonymous.on('error', () => undefined);
    anonymous.on('secureConnect', () => anonymous.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await eventually(() => expect(refusals).toHaveLength(3));
    expect(refusals[2]!.error.message).toContain('no certificate');
    expect(served).toHaveLength(0);
    anonymous.destroy();
  });

  it('needs TLS 1.3 and HTTP/1.1', async () => {
    const { address, refusals } = await serve(server);
    const { connect } = await import('node:tls');
    const port = address.kind === 'tcp' ? address.port : 0;
    for (const options of [{ maxVersion: 'TLSv1.2' }, { ALPNProtocols: ['h2'] }] as const) {
      const before = refusals.length;
      const old = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...(options as object) });
      old.on('error', () => undefined);
      await eventually(() => expect(refusals).toHaveLength(before + 1));
      old.destroy();
    }
  });

  it('changes between connections without losing any', { timeout: 30_000 }, async () => {
    const rotating = Array.from({ length: 5 }, (_unused, index) =>
      materialOf(authority.issue({ uris: [`spiffe://example.org/generation-${index}`] })),
    );
    let generation = 0;
    const material = () => rotating[generation % rotating.length]!;
    const { address, served } = await serve({ material, verify: (chain) => server.verify(chain) });
    for (; generation < 25; generation++) {
      const { socket } = await dial(address, client);
      expect(socket.peer?.id).toBe(`spiffe://example.org/generation-${generation % rotating.length}`);
      socket.write(text('x'));
    }
    await eventually(() => expect(served.filter((recorder) => recorder.bytes === 1)).toHaveLength(25));
  });

  it('is required of ourselves: without one, nothing is accepted and nothing is dialled', async () => {
    const none: TlsSettings = {
      material() {
        throw new Error('no SVID yet');
      },
      verify: (chain) => server.verify(chain),
    };
    const { address, refusals, served } = await serve(none);
    await expect(dial(address, client)).rejects.toThrow();
    await eventually(() => expect(refusals[0]?.error.message).toBe('no SVID yet'));
    expect(served).toHaveLength(0);
    await expect(dial(address, none)).rejects.toThrow('no SVID yet');
  });
});
