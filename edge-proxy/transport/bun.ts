// Stream sockets on Bun's raw sockets. A TLS listener listens plain and upgrades each connection as it opens: that is
// the one way that rotates certificates without losing connections (`reload({ tls })` silently keeps the old one).
import { Buffer } from 'node:buffer';
import { chainFrom } from '../../sdk/tls/sent-chain.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { formatAddress, type Address } from './address.ts';
import type { BunApi, RawHandlers, RawSocket, RawTlsOptions } from './bun-api.ts';
import { BunSocket, SILENT } from './bun-socket.ts';
import {
  ALPN_WIRE,
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

const bun = (globalThis as unknown as { Bun: BunApi }).Bun;

/** Stream sockets on Bun's raw sockets. */
export function bunTransport(): Transport {
  return { runtime: 'bun', listen, connect };
}

async function listen(options: ListenOptions): Promise<Listener> {
  const { address } = options;
  // `exclusive`: without it another process of this user binds the same port and takes connections away.
  const common = { exclusive: true, allowHalfOpen: true, socket: acceptingHandlers(options) };
  const bind = () =>
    address.kind === 'unix'
      ? bun.listen({ unix: address.path, ...common })
      : bun.listen({ hostname: address.host, port: address.port, ...common });
  try {
    const listener = await (address.kind === 'unix'
      ? bindUnixSocket(address.path, () => answers(address), bind)
      : bind());
    return {
      address: address.kind === 'tcp' ? { ...address, port: listener.port } : address,
      close: () => listener.stop(false),
    };
  } catch (error) {
    throw bindError(formatAddress(address), error);
  }
}

function answers(address: Address): Promise<boolean> {
  const probe = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  return connect({ address, timeout: 1_000 }, probe).then(
    (socket) => (socket.destroy(), true),
    () => false,
  );
}

function acceptingHandlers(options: ListenOptions): RawHandlers {
  let open = 0;
  const closed = () => open--;
  const shaking = new Set<() => void>(); // ends each handshake that is under way, the oldest first
  return {
    ...FORWARDING,
    open(raw) {
      const remoteAddress = remoteAddressOf(raw);
      const [oldest] = shaking;
      if (open >= options.maxConnections && oldest !== undefined) {
        oldest(); // who connects and says nothing keeps nobody out
      } else if (open >= options.maxConnections) {
        raw.data = undefined;
        raw.terminate();
        const error = new Error(`more than ${options.maxConnections} connections`);
        options.onRefused({ remoteAddress, reason: 'limit', error });
        return;
      }
      open++;
      raw.setNoDelay(true);
      if (options.tls !== undefined) {
        acceptTls(raw, remoteAddress, options, options.tls, shaking, closed);
        return;
      }
      const socket = new BunSocket(raw, remoteAddress);
      raw.data = { socket, closed } satisfies SocketData;
      socket.attach(options.onSocket(socket));
    },
  };
}

function acceptTls(
  raw: RawSocket,
  remoteAddress: string,
  options: ListenOptions,
  tls: TlsSettings,
  shaking: Set<() => void>,
  closed: () => void,
): void {
  const refused = (error: Error) => options.onRefused({ remoteAddress, reason: 'tls', error });
  let material: TlsMaterial;
  try {
    material = tls.material();
  } catch (error) {
    raw.data = { closed } satisfies SocketData;
    raw.terminate();
    refused(error as Error);
    return;
  }
  // The raw half still reports its ciphertext to the plain handlers: without a socket they drop it.
  raw.data = undefined;
  const giveWay = () => handshake.giveUp('the TLS handshake made room for another connection');
  const handshake = startHandshake(options.handshakeTimeout, tls, material, remoteAddress, {
    verified(socket) {
      shaking.delete(giveWay);
      socket.attach(options.onSocket(socket));
    },
    failed(error) {
      shaking.delete(giveWay);
      refused(error);
    },
    closed,
  });
  shaking.add(giveWay);
  raw.upgradeTLS({ isServer: true, tls: tlsOptionsOf(material), data: handshake, socket: FORWARDING });
}

function connect(options: ConnectOptions, handlers: SocketHandlers): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { address, tls } = options;
    const remoteAddress = formatAddress(address);
    const verified = (socket: BunSocket) => {
      socket.attach(handlers);
      resolve(socket);
    };
    const material = tls?.material();
    const data = startHandshake(options.timeout, tls, material, remoteAddress, { verified, failed: reject });
    bun
      .connect({
        ...(address.kind === 'unix'
          ? { unix: address.path }
          : { hostname: address.host, port: address.port }),
        ...(material === undefined ? {} : { tls: tlsOptionsOf(material) }),
        allowHalfOpen: true,
        data,
        socket: FORWARDING,
      })
      .catch((error: unknown) => data.failed?.(error as Error));
  });
}

// What Bun carries beside each raw socket: the socket once it is verified, what to do until then, and at its end.
interface SocketData {
  socket?: BunSocket;
  opened?(raw: RawSocket): void;
  shaken?(raw: RawSocket, success: boolean, error: (Error & { code?: string }) | null): void;
  failed?(error: Error): void;
  closed: (() => void) | undefined;
}

interface Outcome {
  verified(socket: BunSocket): void;
  failed(error: Error): void;
  readonly closed?: () => void;
}

function startHandshake(
  timeout: number,
  tls: TlsSettings | undefined,
  material: TlsMaterial | undefined,
  remoteAddress: string,
  outcome: Outcome,
): SocketData & { giveUp(reason: string): void } {
  let late: RawSocket | undefined;
  const giveUp = (reason: string) => {
    data.failed?.(new Error(reason));
    late?.terminate();
  };
  const data: SocketData & { giveUp(reason: string): void } = {
    giveUp,
    opened(raw) {
      late = raw;
      if (data.failed === undefined) raw.terminate();
      else raw.setNoDelay(true);
      if (tls === undefined && data.failed !== undefined) succeed(new BunSocket(raw, remoteAddress));
    },
    shaken(raw, success, error) {
      if (tls === undefined || data.failed === undefined) return;
      try {
        expectFinished(raw, success, error);
        const peer = tls.verify(chainFrom(raw.getPeerCertificate(false)));
        succeed(new BunSocket(raw, remoteAddress, peer, material));
      } catch (refusal) {
        data.failed?.(refusal as Error); // first: `terminate` reports the close before it returns
        raw.terminate();
      }
    },
    failed(error) {
      clearTimeout(timer);
      data.failed = undefined;
      outcome.failed(error);
    },
    closed: outcome.closed,
  };
  const timer = setTimeout(() => {
    const what =
      tls === undefined || late === undefined ? `connecting to ${remoteAddress}` : 'the TLS handshake';
    giveUp(`${what} took too long`);
  }, timeout);
  const succeed = (socket: BunSocket) => {
    clearTimeout(timer);
    data.failed = undefined;
    data.socket = socket;
    outcome.verified(socket);
  };
  return data;
}

// With `rejectUnauthorized: false` the verdict tells nothing on a server (true for a self-signed or absent
// certificate) and is false on a client for every certificate without public root or DNS name. What must hold is that
// the handshake completed, that is, that the peer proved to own the key (CertificateVerify and Finished, RFC 8446
// 4.4.3 and 4.4.4): before that, BoringSSL refuses to export keying material.
function expectFinished(raw: RawSocket, success: boolean, error: (Error & { code?: string }) | null): void {
  const aboutCertificate = success || (error?.code !== undefined && CERTIFICATE_VERDICT.test(error.code));
  if (!aboutCertificate) {
    throw new Error(`the TLS handshake failed: ${error?.message ?? 'no reason given'}`, { cause: error });
  }
  raw.exportKeyingMaterial(16, 'EXPORTER-sigil-handshake-done', NO_CONTEXT);
  const alpn = raw.alpnProtocol;
  // A peer without ALPN speaks HTTP/1.1; another protocol was never offered.
  if (alpn && alpn !== 'http/1.1') throw new Error(`the peer negotiated ${alpn}`);
}

const NO_CONTEXT = Buffer.alloc(0);

// X509_V_ERR_* as Bun spells them, and the name check that no SVID can pass.
const CERTIFICATE_VERDICT =
  /^(UNABLE_TO_|SELF_SIGNED_CERT_IN_CHAIN$|DEPTH_ZERO_SELF_SIGNED_CERT$|CERT_|INVALID_|PATH_LENGTH_EXCEEDED$|ERR_TLS_CERT_ALTNAME_INVALID$)/;

const FORWARDING: RawHandlers = {
  ...SILENT,
  open(raw) {
    (raw.data as SocketData | undefined)?.opened?.(raw);
  },
  handshake(raw, success, error) {
    (raw.data as SocketData | undefined)?.shaken?.(raw, success, error);
  },
  data(raw, bytes) {
    (raw.data as SocketData | undefined)?.socket?.onData(bytes);
  },
  drain(raw) {
    (raw.data as SocketData | undefined)?.socket?.onDrain();
  },
  end(raw) {
    const data = raw.data as SocketData | undefined;
    if (data?.socket !== undefined) data.socket.onEnd();
    else if (data?.failed !== undefined) raw.terminate();
  },
  close(raw, error) {
    const data = raw.data as SocketData | undefined;
    if (data === undefined) return;
    data.failed?.(error ?? new Error('the connection ended during the TLS handshake'));
    data.socket?.onClose(error);
    data.closed?.();
    data.closed = undefined;
  },
  connectError(raw, error) {
    (raw.data as SocketData | undefined)?.failed?.(error);
  },
};

function remoteAddressOf(raw: RawSocket): string {
  const host = raw.remoteAddress;
  return host === undefined || host === ''
    ? 'unix'
    : formatAddress({ kind: 'tcp', host, port: raw.remotePort ?? 0 });
}

const cache = new WeakMap<TlsMaterial, RawTlsOptions>();

function tlsOptionsOf(material: TlsMaterial): RawTlsOptions {
  let options = cache.get(material);
  if (options === undefined) {
    options = {
      cert: pemOf('CERTIFICATE', material.certificates),
      key: pemOf('PRIVATE KEY', [material.privateKey]),
      requestCert: true,
      rejectUnauthorized: false, // our verifier decides: see `shaken`
      minVersion: 0x0304,
      maxVersion: 0x0304,
      ALPNProtocols: ALPN_WIRE,
      secureOptions: NO_TICKETS,
    };
    cache.set(material, options);
  }
  return options;
}
