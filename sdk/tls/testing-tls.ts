// For the tests of this folder: echoing servers, and clients that dial them.
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeAll } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { x509BundleSet, type X509BundleSource } from '../bundle/x509-bundle.ts';
import { parseTrustDomain } from '../spiffe-id.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import {
  authorizeId,
  authorizeMemberOf,
  connectTls,
  createTlsServer,
  type ConnectTlsOptions,
  type CreateTlsServerOptions,
  type TlsRefusal,
} from './index.ts';
import { FixedSource, listening } from './testing.ts';

/** Two authorities of example.org that know nothing of each other, one of a partner, and SVIDs of the first. */
export let authority: TestAuthority;
export let other: TestAuthority;
export let partner: TestAuthority;
export let serverSvid: X509Svid;
export let clientSvid: X509Svid;
/** Run after each test. */
export const toClose: (() => unknown)[] = [];

/** Makes the authorities and SVIDs, and closes what a test left open. To be called once in a test file. */
export function useTls(): void {
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
}

/** The bundles of several authorities. */
export const bundlesOf = (...authorities: TestAuthority[]): X509BundleSource =>
  x509BundleSet(
    authorities.flatMap(({ bundles }) =>
      ['example.org', 'partner.org'].flatMap((name) => bundles.x509Bundle(parseTrustDomain(name)) ?? []),
    ),
  );
/** A source of one SVID. */
export const sourceOf = (svid: X509Svid | Error, bundles = authority.bundles) =>
  new FixedSource(svid, bundles);

/** A server that echoes, and what it saw. */
export interface Served {
  readonly port: number;
  readonly sockets: TLSSocket[];
  readonly refusals: TlsRefusal[];
  readonly source: FixedSource;
  bytes: number;
}

/** Starts one. */
export async function serve(options: Partial<CreateTlsServerOptions> = {}): Promise<Served> {
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

/** Connects to `/server` as `/client`, unless the options say otherwise. */
export async function dial(port: number, options: Partial<ConnectTlsOptions> = {}): Promise<TLSSocket> {
  const socket = await connectTls({
    target: { host: '127.0.0.1', port },
    source: sourceOf(clientSvid),
    authorize: authorizeId(authority.id('/server')),
    ...options,
  });
  toClose.push(() => socket.destroy());
  return socket;
}

/** Writes, and gives what comes back. */
export async function echo(socket: TLSSocket, text: string): Promise<string> {
  socket.write(text);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString();
}

/** Waits for the end of a connection. */
export const closed = (socket: TLSSocket) => eventually(() => socket.destroyed);
