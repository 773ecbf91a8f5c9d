// The TCP side of a gRPC server: TLS with a certificate that rotates live, and a client certificate that is asked for
// but not demanded. Who the caller is comes from our verifier, at the handshake (architecture, decision 2).
import { constants } from 'node:crypto';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls';
import type { X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import { messageOf } from '../../sdk/error.ts';
import { sentChain } from '../../sdk/tls/sent-chain.ts';
import { claimedTrustDomainOf, verifyX509Svid, type VerifiedX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { Logger } from '../log.ts';
import { createOccasionalLog } from '../occasional-log.ts';
import { listenTcp } from '../sockets.ts';
import { UnprovenLimit, type UnprovenLimitOptions } from './unproven.ts';

/** A caller over TCP: where from, and its verified SVID if it presented one. */
export interface TlsCaller {
  readonly kind: 'tls';
  readonly address: string;
  readonly svid: VerifiedX509Svid | undefined;
}

/** Options of {@link listenTls}. */
export interface TlsListenerOptions {
  readonly address: string;
  readonly port: number;
  /** The configuration key of the port, for messages. */
  readonly option: string;
  /** Certificate and key to begin with (PEM). */
  readonly identity: SecureContextOptions;
  /** Bundles that client certificates are verified against. */
  readonly bundles: X509BundleSource;
  readonly log: Logger;
  readonly onConnection: (socket: Socket, caller: TlsCaller) => void;
  /** Connections that have not shown an SVID. Default 4,000, of which 1,000 from one network. */
  readonly unproven?: UnprovenLimitOptions;
  readonly now?: () => number;
}

/** A listener that is bound. */
export interface TlsListener {
  readonly port: number;
  /** New handshakes use this identity; connections that stand are not touched. */
  setIdentity(identity: SecureContextOptions): void;
  close(): void;
}

const HANDSHAKE_TIMEOUT = 10_000;
const MAX_CONNECTIONS = 10_000;
// What is left is for those who have an SVID: nobody without one can keep them out.
const UNPROVEN: UnprovenLimitOptions = { most: 4_000, mostPerNetwork: 1_000 };

export async function listenTls(options: TlsListenerOptions): Promise<TlsListener> {
  const settings = {
    minVersion: 'TLSv1.2', // SPIRE's agents and servers may still offer no more.
    ALPNProtocols: ['h2'],
    // A resumed session would show an SVID of yesterday. Without this, setSecureContext turns tickets on again.
    secureOptions: constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT,
  } as const;
  const server = createServer({ ...settings, ...options.identity });
  const unproven = new UnprovenLimit(options.unproven ?? UNPROVEN);
  const refusals = createOccasionalLog();
  /** By the other end's address and port, which the TLS socket shares with the one below it. */
  const releases = new Map<string, () => void>();
  const tcp = createTcpServer((socket) => {
    const end = endOf(socket);
    const release = unproven.take(socket.remoteAddress ?? '');
    if (release === undefined) {
      socket.destroy();
      refusals('unproven', () =>
        options.log.warn(
          { peer: socket.remoteAddress },
          'refused connections: too many are open that have shown no SVID',
        ),
      );
      return;
    }
    releases.set(end, release);
    socket.once('close', () => {
      release();
      if (releases.get(end) === release) releases.delete(end);
    });
    server.emit('connection', socket);
  });
  tcp.maxConnections = MAX_CONNECTIONS;
  server.on('secureConnection', (socket) => {
    const end = endOf(socket); // whoever takes the connection may change what it says of its other end
    if (accept(socket, options)) releases.get(end)?.();
  });
  server.on('tlsClientError', (error, socket) => {
    options.log.debug({ peer: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed');
    socket.destroy();
  });
  const port = await listenTcp(tcp, options.address, options.port, options.option);
  return {
    port,
    setIdentity: (identity) => {
      const { minVersion, secureOptions } = settings;
      server.setSecureContext({ minVersion, secureOptions, ...identity });
    },
    close: () => tcp.close(),
  };
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

// A certificate that is presented and fails ends the connection: it is never treated as anonymous. Returns whether the
// peer has proven who it is.
function accept(socket: TLSSocket, options: TlsListenerOptions): boolean {
  const address = socket.remoteAddress ?? 'unknown';
  const chain = sentChain(socket);
  let svid: VerifiedX509Svid | undefined;
  if (chain.length > 0) {
    try {
      svid = verifyX509Svid(chain, options.bundles, { now: options.now?.() });
    } catch (error) {
      options.log.warn(
        { peer: address, trust_domain: claimedTrustDomainOf(chain), reason: messageOf(error) },
        'refused a connection: the client certificate does not verify',
      );
      socket.destroy();
      return false;
    }
  }
  options.onConnection(socket, { kind: 'tls', address, svid });
  return svid !== undefined;
}
