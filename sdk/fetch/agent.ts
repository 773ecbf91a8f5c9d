// The pool of connections: an http.Agent whose every connection is mutual TLS, verified before a request is written, and
// is given up in time when an SVID rotates or runs out.
import { Agent, type AgentOptions, type ClientRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { clearTimeout, setTimeout } from 'node:timers';
import { connectTls } from '../tls/connect.ts';
import type { MutualTlsOptions } from '../tls/options.ts';
import { tlsConnectionOf } from '../tls/supervise.ts';

/** Options of {@link MutualTlsAgent}. */
export interface MutualTlsAgentOptions extends MutualTlsOptions {
  /** Milliseconds that a connection waits for its next request. Default 4,000: Node's servers close after 5,000. */
  readonly idleTimeout?: number;
  /** Milliseconds for connecting, handshake included. Default 10,000. */
  readonly connectTimeout?: number;
  /** A number in [0, 1), for jitter. Default Math.random. */
  readonly random?: () => number;
}

interface Target {
  readonly host?: string;
  readonly port?: number | string;
}

const IDLE_TIMEOUT = 4_000;
const MAX_IDLE = 32;
const MAX_MARGIN = 30_000;

/**
 * An agent for `http.request` (not `https.request`: it brings TLS itself). Connections are kept per host and port. One
 * whose SVID, ours or the peer's, was rotated or is about to expire finishes its request and takes no other.
 */
export class MutualTlsAgent extends Agent implements Disposable {
  readonly #options: MutualTlsAgentOptions;
  readonly #unsubscribe: (() => void) | undefined;
  readonly #retireAt = new WeakMap<object, number>();
  readonly #idle = new WeakMap<object, ReturnType<typeof setTimeout>>();
  readonly #used = new WeakSet<object>();
  readonly #endedBy = new WeakMap<object, Error>();

  constructor(options: MutualTlsAgentOptions) {
    super({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: MAX_IDLE } satisfies AgentOptions);
    this.#options = options;
    this.#unsubscribe = options.source.onUpdate?.(() => this.retire());
  }

  override createConnection(target: Target, done?: (error: Error | null, socket: Duplex) => void): undefined {
    const { connectTimeout, ...options } = this.#options;
    connectTls({
      ...options,
      target: { host: target.host ?? 'localhost', port: Number(target.port) },
      alpn: ['http/1.1'],
      ...(connectTimeout === undefined ? {} : { timeout: connectTimeout }),
    }).then(
      (socket) => {
        this.#retireAt.set(socket, this.#retirement(socket));
        socket.on('error', (error) => this.#endedBy.set(socket, error));
        socket.once('close', () => clearTimeout(this.#idle.get(socket)));
        done?.(null, socket);
      },
      (error: Error) => done?.(error, undefined as unknown as Duplex),
    );
  }

  /** Whether the connection has carried a request before. */
  wasUsed(socket: object): boolean {
    return this.#used.has(socket);
  }

  /** What ended the connection, if it was an error: our verifier's, or the system's. */
  endOf(socket: object): Error | undefined {
    return this.#endedBy.get(socket);
  }

  /** Closes idle connections that must not carry another request. */
  retire(): void {
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of sockets?.filter((idle) => !this.#isFresh(idle)) ?? []) socket.destroy();
    }
  }

  override keepSocketAlive(socket: Duplex): boolean {
    this.#used.add(socket);
    if (!this.#isFresh(socket) || !(super.keepSocketAlive(socket) as unknown as boolean)) return false;
    const timer = setTimeout(() => socket.destroy(), this.#options.idleTimeout ?? IDLE_TIMEOUT);
    timer.unref();
    this.#idle.set(socket, timer);
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    clearTimeout(this.#idle.get(socket));
    super.reuseSocket(socket, request);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe?.();
    this.destroy();
  }

  #isFresh(socket: Duplex): boolean {
    const { source, now = Date.now } = this.#options;
    const retireAt = this.#retireAt.get(socket);
    if (socket.destroyed || retireAt === undefined || now() >= retireAt) return false;
    try {
      return tlsConnectionOf(socket)?.svid.serial === source.current().serial;
    } catch {
      return false;
    }
  }

  // The client gives up first, so that no request is on its way when the server ends the connection at NotAfter.
  #retirement(socket: Duplex): number {
    const { now = Date.now, random = Math.random } = this.#options;
    const { peer, svid } = tlsConnectionOf(socket)!;
    const end = Math.min(peer.pathNotAfter, svid.notAfter);
    const margin = Math.min(MAX_MARGIN, (end - now()) / 10);
    return end - margin * (0.5 + random() / 2);
  }
}
