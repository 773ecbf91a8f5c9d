// One party of a pair: a program for Node, Bun and Deno that uses the SDK alone and does what the suite tells it, a line of
// JSON at a time. Run by the suite; not a test itself.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { createFetch } from '../../sdk/fetch/index.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import {
  authorizeId,
  connectTls,
  createHttpsServer,
  peerOf,
  peerOfRequest,
  tlsClientOptions,
  tlsServerOptions,
  verifyPeer,
  type TlsSource,
} from '../../sdk/tls/index.ts';
import { X509Source } from '../../sdk/workload-api/x509-source.ts';
import { concat } from '../../sdk/x509-svid/der-writer.ts';
import { parseX509Svid, type X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { startFlow, type Flow } from './flow.ts';

/** An SVID and the authorities to trust, on the wire of the suite: base64. */
export interface StaticIdentity {
  readonly certificates: readonly string[];
  readonly privateKey: string;
  readonly bundle: string;
}

/** What a party can be told. Each command is answered with its value, or with an error's code and message. */
export interface Commands {
  open(options: { source: string; endpoint: string }): Promise<string>;
  settled(options: { source: string; serial: string; authorities: string[] }): Promise<void>;
  serve(options: { server: string; source: string | StaticIdentity; accept: string }): Promise<number>;
  /** What a server saw, and the authorities by which the clients of its open connections are trusted. */
  served(options: { server: string }): {
    connections: number;
    requests: number;
    refused: string[];
    authorities: string[];
  };
  serveTickets(options: { server: string; source: StaticIdentity; accept: string }): Promise<number>;
  change(options: { server: string; skew?: number; bundle?: string }): void;
  verdicts(options: { server: string }): { resumed: boolean; verdict: string }[];
  call(options: { source: string | StaticIdentity; expect: string; port: number }): Promise<string>;
  /** Connects by the SDK, hears the server out, and closes. */
  dial(options: { source: StaticIdentity; expect: string; port: number }): Promise<{ resumed: boolean }>;
  flow(options: { name: string; source: string; expect: string; port: number }): void;
  more(options: { name: string; requests: number }): Promise<void>;
  stop(options: { name: string }): Promise<{ kept: number; fresh: number; lost: string[] }>;
  connectRaw(options: {
    source: StaticIdentity;
    port: number;
    replay: boolean;
  }): Promise<{ resumed: boolean; answer: string }>;
}

interface Server {
  connections: Set<object>;
  open: ReadonlySet<object>;
  requests: number;
  refused: string[];
  source: TlsSource;
  skew: number;
  verdicts: { resumed: boolean; verdict: string }[];
}

const DOMAIN = 'example.org';
const sources = new Map<string, X509Source>();
const servers = new Map<string, Server>();
const flows = new Map<string, Flow>();
let session: Buffer | undefined;

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const bundleOf = (base64: string) => x509BundleSet([parseX509Bundle(DOMAIN, bytes(base64))]);

// One object for one SVID, as a source gives it: a runtime that keeps sessions keeps them by its TLS context.
const svids = new Map<string, X509Svid>();

function sourceOf(source: string | StaticIdentity): TlsSource {
  if (typeof source === 'string') return sources.get(source)!;
  const svid =
    svids.get(source.privateKey) ??
    parseX509Svid(concat(source.certificates.map(bytes)), bytes(source.privateKey));
  svids.set(source.privateKey, svid);
  const bundles = bundleOf(source.bundle);
  return { current: () => svid, x509Bundle: (name) => bundles.x509Bundle(name) };
}

function newServer(source: TlsSource): Server {
  return { connections: new Set(), open: new Set(), requests: 0, refused: [], source, skew: 0, verdicts: [] };
}

const commands: Commands = {
  async open({ source, endpoint }) {
    const opened = await X509Source.open({ endpoint });
    sources.set(source, opened);
    return opened.current().serial;
  },
  settled({ source: name, serial, authorities }) {
    const source = sources.get(name)!;
    const isThere = () =>
      source.current().serial === serial &&
      String(
        source.x509Bundle(parseTrustDomain(DOMAIN))?.authorities.map((authority) => authority.serial),
      ) === String(authorities);
    return new Promise((resolve) => {
      const look = () => {
        if (!isThere()) return;
        unsubscribe();
        resolve();
      };
      const unsubscribe = source.onUpdate(look);
      look();
    });
  },
  async serve({ server: name, source, accept }) {
    const server = newServer(sourceOf(source));
    servers.set(name, server);
    const guarded = createHttpsServer(
      {
        source: server.source,
        authorize: authorizeId(accept),
        onRefused: ({ error }) => server.refused.push((error as { code?: string }).code ?? error.message),
      },
      (request, response) => {
        server.requests++;
        server.connections.add(request.socket);
        response.end(peerOfRequest(request).id);
      },
    );
    server.open = guarded.connections;
    await new Promise<void>((resolve) => guarded.server.listen(0, '127.0.0.1', resolve));
    return (guarded.server.address() as AddressInfo).port;
  },
  served({ server: name }) {
    const { connections, requests, refused, open } = servers.get(name)!;
    const authorities = [...open].map((socket) => peerOf(socket)!.authority.serial);
    return { connections: connections.size, requests, refused, authorities: [...new Set(authorities)] };
  },
  // A server as somebody else may have made it: session tickets on, the SDK's verifier called by hand.
  async serveTickets({ server: name, source, accept }) {
    const server = newServer(sourceOf(source));
    servers.set(name, server);
    const authorize = authorizeId(accept);
    const tls = createServer({ ...tlsServerOptions({ source: server.source }), secureOptions: 0 });
    tls.on('secureConnection', (socket) => {
      socket.on('error', () => undefined);
      const resumed = socket.isSessionReused();
      try {
        verifyPeer(socket, { source: server.source, authorize, now: () => Date.now() + server.skew });
        server.verdicts.push({ resumed, verdict: 'accepted' });
        socket.write('welcome');
      } catch (error) {
        server.verdicts.push({ resumed, verdict: (error as { code: string }).code });
        socket.destroy();
      }
    });
    tls.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    return (tls.address() as AddressInfo).port;
  },
  change({ server: name, skew, bundle }) {
    const server = servers.get(name)!;
    if (skew !== undefined) server.skew = skew;
    if (bundle === undefined) return;
    const [bundles, { source }] = [bundleOf(bundle), server];
    server.source = {
      current: () => source.current(),
      x509Bundle: (trustDomain) => bundles.x509Bundle(trustDomain),
    };
  },
  verdicts: ({ server: name }) => servers.get(name)!.verdicts,
  async call({ source, expect, port }) {
    using fetch = createFetch({ source: sourceOf(source), authorize: authorizeId(expect) });
    return (await fetch(`https://127.0.0.1:${port}/`)).text();
  },
  async dial({ source, expect, port }) {
    const target = { host: '127.0.0.1', port };
    const socket = await connectTls({ target, source: sourceOf(source), authorize: authorizeId(expect) });
    await once(socket, 'data');
    const resumed = socket.isSessionReused();
    socket.destroy();
    return { resumed };
  },
  flow({ name, source, expect, port }) {
    flows.set(name, startFlow({ source: sourceOf(source), authorize: authorizeId(expect), port }));
  },
  more: ({ name, requests }) => flows.get(name)!.more(requests),
  stop: ({ name }) => flows.get(name)!.stop(),
  // Without any check of the server: the attacker's side of a replayed session.
  async connectRaw({ source, port, replay }) {
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port,
      ...tlsClientOptions({ source: sourceOf(source) }),
      ...(replay && session !== undefined ? { session } : {}),
    });
    socket.on('error', () => undefined).on('session', (ticket: Buffer) => (session = ticket));
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
      socket.destroy();
    });
    await once(socket, 'secureConnect').catch(() => undefined);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const resumed = socket.isSessionReused();
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
    return { resumed, answer };
  },
};

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, command, options } = JSON.parse(line) as {
    id: number;
    command: keyof Commands;
    options: never;
  };
  const answer = (outcome: object) => process.stdout.write(`${JSON.stringify({ id, ...outcome })}\n`);
  const run = async (): Promise<unknown> => commands[command](options);
  run().then(
    (value) => answer({ value }),
    (error: Error & { code?: string }) => answer({ error: error.message, code: error.code }),
  );
});
lines.on('close', () => process.exit(0));
