// Stream sockets on node:net and node:tls, for Node and Deno.
import { connect as connectPlain, createServer, type Socket as NetSocket, type Server } from 'node:net';
import { connect as connectTls, createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import { chainFrom } from '../../sdk/tls/sent-chain.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { formatAddress, type Address } from './address.ts';
import { NodeSocket } from './node-socket.ts';
import {
  NO_TICKETS,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Socket,
  type SocketHandlers,
  type TlsMaterial,
  type TlsSettings,
  type Transport,
} from './socket.ts';
import { bindError, bindUnixSocket } from './unix-socket.ts';

/** Stream sockets on node:net and node:tls. */
export function nodeTransport(): Transport {
  return { runtime: 'Deno' in globalThis ? 'deno' : 'node', listen, connect };
}

// As many as the kernel allows: who finds the queue of connections to accept full tries again only after a second.
const BACKLOG = 65_535;

async function listen(options: ListenOptions): Promise<Listener> {
  let open = 0;
  const shaking = new Set<() => void>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
    open++;
    raw.once('close', () => open--);
    accept(raw, options, open, shaking);
  });
  const { address } = options;
  const bind = () => bound(server, address);
  try {
    await (address.kind === 'unix' ? bindUnixSocket(address.path, () => answers(address), bind) : bind());
  } catch (error) {
    server.close();
    throw bindError(formatAddress(address), error);
  }
  const chosen = server.address();
  const port = typeof chosen === 'object' && chosen !== null ? chosen.port : 0;
  return {
    address: address.kind === 'tcp' ? { ...address, port } : address,
    close: () => server.close(),
  };
}

function bound(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const ready = () => {
      server.off('error', reject);
      // Accept errors (such as too many open files) pass; the listener stays.
      server.on('error', () => undefined);
      resolve();
    };
    if (address.kind === 'unix') server.listen({ path: address.path, backlog: BACKLOG }, ready);
    else server.listen({ host: address.host, port: address.port, exclusive: true, backlog: BACKLOG }, ready);
  });
}

function answers(address: Address): Promise<boolean> {
  const probe = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  return connect({ address, timeout: 1_000 }, probe).then(
    (socket) => (socket.destroy(), true),
    () => false,
  );
}

// `shaking` ends each handshake that is under way, the oldest first.
function accept(raw: NetSocket, options: ListenOptions, open: number, shaking: Set<() => void>): void {
  const remoteAddress = remoteAddressOf(raw);
  raw.on('error', () => undefined);
  const refuse = (reason: 'tls' | 'limit', error: Error) => {
    raw.destroy();
    options.onRefused({ remoteAddress, reason, error });
  };
  if (open > options.maxConnections) {
    const [oldest] = shaking;
    if (oldest === undefined) {
      refuse('limit', new Error(`more than ${options.maxConnections} connections`));
      return;
    }
    oldest(); // who connects and says nothing keeps nobody out
  }
  const { tls } = options;
  if (tls === undefined) {
    const socket = new NodeSocket(raw, remoteAddress);
    socket.attach(options.onSocket(socket));
    return;
  }
  let secured: TLSSocket;
  let material: TlsMaterial;
  try {
    material = tls.material();
    secured = new TLSSocket(raw, {
      isServer: true,
      secureContext: secureContextOf(material),
      requestCert: true,
      rejectUnauthorized: false, // our verifier decides: see `verified`
      ALPNProtocols: ['http/1.1'],
    });
  } catch (error) {
    refuse('tls', error as Error);
    return;
  }
  let failure: Error | undefined;
  let done = false;
  const giveUp = (reason: string) => {
    failure ??= new Error(reason);
    secured.destroy();
    raw.destroy();
  };
  const giveWay = () => {
    shaking.delete(giveWay);
    giveUp('the TLS handshake made room for another connection');
  };
  shaking.add(giveWay);
  const timer = setTimeout(() => giveUp('the TLS handshake took too long'), options.handshakeTimeout);
  secured.on('error', (error) => (failure ??= error));
  // Half-closed, it would be kept until the handshake is late.
  secured.once('end', () => {
    if (!done) secured.destroy();
  });
  secured.once('close', () => {
    shaking.delete(giveWay);
    clearTimeout(timer);
    raw.destroy();
    if (!done) refuse('tls', failure ?? new Error('the connection ended during the TLS handshake'));
  });
  secured.once('secure', () => {
    shaking.delete(giveWay);
    clearTimeout(timer);
    let socket: NodeSocket;
    try {
      socket = verified(secured, raw, tls, material, remoteAddress);
    } catch (error) {
      failure = error as Error;
      secured.destroy();
      return;
    }
    done = true;
    socket.attach(options.onSocket(socket));
  });
}

function connect(options: ConnectOptions, handlers: SocketHandlers): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { address, tls } = options;
    const remoteAddress = formatAddress(address);
    const material = tls?.material();
    const target =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    const raw = connectPlain({ ...target, allowHalfOpen: true, noDelay: true });
    let stream = raw;
    let failure: Error | undefined;
    const timer = setTimeout(() => {
      failure = new Error(`connecting to ${remoteAddress} took too long`);
      stream.destroy();
      raw.destroy();
    }, options.timeout);
    const onClose = () => {
      clearTimeout(timer);
      raw.destroy();
      reject(failure ?? new Error(`${remoteAddress} closed the connection`));
    };
    const watch = (watched: NetSocket) => {
      watched.on('error', (error) => (failure ??= error));
      watched.once('close', onClose);
    };
    const connected = (make: () => NodeSocket) => {
      clearTimeout(timer);
      try {
        const socket = make();
        stream.off('close', onClose);
        raw.off('close', onClose);
        socket.attach(handlers);
        resolve(socket);
      } catch (error) {
        failure = error as Error;
        stream.destroy();
      }
    };
    watch(raw);
    raw.once('connect', () => {
      if (tls === undefined || material === undefined) {
        connected(() => new NodeSocket(raw, remoteAddress));
        return;
      }
      const secured = connectTls({
        socket: raw,
        secureContext: secureContextOf(material),
        rejectUnauthorized: false, // our verifier decides: see `verified`
        checkServerIdentity: () => undefined,
        ALPNProtocols: ['http/1.1'],
      });
      stream = secured;
      watch(secured);
      secured.once('secureConnect', () =>
        connected(() => verified(secured, raw, tls, material, remoteAddress)),
      );
    });
  });
}

function verified(
  stream: TLSSocket,
  raw: NetSocket,
  tls: TlsSettings,
  material: TlsMaterial,
  remoteAddress: string,
): NodeSocket {
  // A peer without ALPN speaks HTTP/1.1 (RFC 9112 names it the default); another protocol was never offered.
  const alpn = stream.alpnProtocol;
  if (alpn && alpn !== 'http/1.1') throw new Error(`the peer negotiated ${alpn}`);
  const peer = tls.verify(chainFrom(stream.getPeerCertificate(true)));
  return new NodeSocket(stream, remoteAddress, { peer, material, raw });
}

function remoteAddressOf(raw: NetSocket): string {
  const host = raw.remoteAddress;
  return host === undefined ? 'unix' : formatAddress({ kind: 'tcp', host, port: raw.remotePort ?? 0 });
}

const contexts = new WeakMap<TlsMaterial, SecureContext>();

function secureContextOf(material: TlsMaterial): SecureContext {
  let context = contexts.get(material);
  if (context === undefined) {
    context = createSecureContext({
      cert: pemOf('CERTIFICATE', material.certificates),
      key: pemOf('PRIVATE KEY', [material.privateKey]),
      // No roots: trust is the verifier's alone, and none is appended to the chain that the peer sent.
      ca: [],
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      secureOptions: NO_TICKETS,
    });
    contexts.set(material, context);
  }
  return context;
}
