// What the proxy asks of a byte stream, with and without TLS. No runtime is named here: bun.ts and node.ts implement it.
import type { VerifiedX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { Address } from './address.ts';

/** What our verifier says of a peer. */
export type Peer = Pick<VerifiedX509Svid, 'id' | 'serial' | 'notAfter' | 'pathNotAfter'>;

/** A certificate chain and its key. A rotated one is a new object: implementations cache by identity. */
export interface TlsMaterial {
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS#8, DER. */
  readonly privateKey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

/** Mutual TLS 1.3 with ALPN `http/1.1`. There is no mode without a verifier. */
export interface TlsSettings {
  /** Asked at each new connection, so that rotation is never a special case. Throws if there is nothing to present. */
  material(): TlsMaterial;
  /**
   * Judges the chain that the peer sent, leaf first, empty if it sent none. Called at the handshake, synchronously,
   * before any byte of the peer is delivered and before one can be written. Throws to refuse.
   */
  verify(chain: readonly Uint8Array[]): Peer;
}

/** One connection. Handlers are called in order, never after `onClose`, and never from inside a method of the socket. */
export interface Socket {
  /** Set exactly when the connection is TLS. */
  readonly peer: Peer | undefined;
  /** What we presented; set exactly when the connection is TLS. */
  readonly material: TlsMaterial | undefined;
  /** The peer's address, such as `127.0.0.1:4242`, or `unix` for a Unix socket. */
  readonly remoteAddress: string;
  /** Takes all bytes. False: wait for `onDrain` before writing more. The bytes must not change afterwards. */
  write(bytes: Uint8Array): boolean;
  /** Half-closes after all that was written. Reading goes on. */
  end(): void;
  /** Ends both directions at once. */
  destroy(): void;
  /** Stops `onData` until `resume`. */
  pause(): void;
  resume(): void;
}

/** What the owner of a socket is told. */
export interface SocketHandlers {
  onData(bytes: Uint8Array): void;
  /** The peer half-closed: no more data comes. Not told if we had half-closed before: then `onClose` comes. */
  onEnd(): void;
  /** What was written is on its way: more may be written. */
  onDrain(): void;
  /** The last call. */
  onClose(error: Error | undefined): void;
}

/** Why a connection was refused before its owner saw it. */
export interface Refusal {
  readonly remoteAddress: string;
  readonly reason: 'tls' | 'limit';
  readonly error: Error;
}

/** Options of {@link Transport.listen}. */
export interface ListenOptions {
  readonly address: Address;
  readonly tls?: TlsSettings;
  /** More than this many at once, handshakes included, are closed as they come. */
  readonly maxConnections: number;
  /** Milliseconds for a TLS handshake. */
  readonly handshakeTimeout: number;
  /** A connection is there; with TLS, the peer is verified. */
  onSocket(socket: Socket): SocketHandlers;
  onRefused(refusal: Refusal): void;
}

/** A bound listener. */
export interface Listener {
  /** With the port that was chosen, where 0 was asked for. */
  readonly address: Address;
  /** Stops accepting. Open connections stay. */
  close(): void;
}

/** Options of {@link Transport.connect}. */
export interface ConnectOptions {
  readonly address: Address;
  readonly tls?: TlsSettings;
  /** Milliseconds for connecting, handshake included. */
  readonly timeout: number;
}

/** Stream sockets of one runtime. */
export interface Transport {
  readonly runtime: 'bun' | 'deno' | 'node';
  /** Rejects if the address is in use, also by a process of the same user. */
  listen(options: ListenOptions): Promise<Listener>;
  /** Resolves when the peer is verified; rejects with the verifier's error if it refuses. */
  connect(options: ConnectOptions, handlers: SocketHandlers): Promise<Socket>;
}

/** `http/1.1` in the wire form of RFC 7301 3.1. */
export const ALPN_WIRE = Uint8Array.of(8, 0x68, 0x74, 0x74, 0x70, 0x2f, 0x31, 0x2e, 0x31);

/** `SSL_OP_NO_TICKET`: every connection proves itself anew. */
export const NO_TICKETS = 1 << 14;
