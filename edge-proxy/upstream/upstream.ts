// One upstream: a small pool of connections, each to a peer that was verified and accepted at its handshake.
import type { IncomingBody } from '../http1/incoming-body.ts';
import type { OutgoingRequest } from '../http1/serialize.ts';
import { formatAddress, type Address } from '../transport/address.ts';
import type { TlsSettings, Transport } from '../transport/socket.ts';
import { UpstreamError } from './error.ts';
import { retireAt } from './retirement.ts';
import { UpstreamConnection, type UpstreamResponse, type UpstreamTimeouts } from './upstream-connection.ts';

/** Options of {@link Upstream}. */
export interface UpstreamOptions {
  readonly address: Address;
  readonly transport: Transport;
  /** Absent for the local application only. */
  readonly tls?: TlsSettings;
  readonly timeouts: UpstreamTimeouts;
  /** Connections at once; a request beyond that is refused with 503. */
  readonly maxConnections: number;
  /** Idle connections that are kept. */
  readonly maxIdle: number;
  /** Milliseconds that an idle connection is kept: less than the upstream's own limit, so that we close first. */
  readonly idleTimeout: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

interface Pooled {
  readonly retireAt: number;
  idleSince: number;
}

/** Methods that may be sent again when a connection proves stale (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
const SWEEP = 1_000;

export class Upstream {
  readonly name: string;
  readonly #options: UpstreamOptions;
  readonly #all = new Map<UpstreamConnection, Pooled>();
  readonly #idle: UpstreamConnection[] = [];
  #dialling = 0;
  #sweeper: ReturnType<typeof setInterval> | undefined;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.name = formatAddress(options.address);
  }

  /**
   * Sends a request over a pooled or a new connection.
   *
   * @throws UpstreamError; what the verifier threw if the peer is not accepted.
   */
  async send(request: OutgoingRequest, body: IncomingBody): Promise<UpstreamResponse> {
    const pooled = this.#take();
    if (pooled === undefined) return (await this.#dial()).send(request, body);
    try {
      return await pooled.send(request, body);
    } catch (error) {
      // Once, on a fresh connection, and only what can be sent twice without harm and was sent whole.
      const stale = error instanceof UpstreamError && error.unanswered;
      const repeatable = body.framing.kind === 'none' && IDEMPOTENT.has(request.method);
      if (!stale || !repeatable) throw error;
      return (await this.#dial()).send(request, body.empty());
    }
  }

  /** Ends idle connections that present an older certificate than the current one; busy ones end after their response. */
  retireStale(): void {
    for (const connection of this.#idle.splice(0)) {
      if (this.#isFresh(connection)) this.#idle.push(connection);
      else connection.destroy();
    }
  }

  /** Ends every connection. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const connection of this.#all.keys()) connection.destroy();
  }

  #take(): UpstreamConnection | undefined {
    // The youngest first: the oldest are then the ones that time out.
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (!connection.closed && this.#isFresh(connection)) return connection;
      connection.destroy();
    }
    return undefined;
  }

  #isFresh(connection: UpstreamConnection): boolean {
    const { tls, now } = this.#options;
    if (tls === undefined) return true;
    const pooled = this.#all.get(connection);
    return (
      pooled !== undefined && now() < pooled.retireAt && connection.socket.material === currentMaterial(tls)
    );
  }

  async #dial(): Promise<UpstreamConnection> {
    const { transport, address, tls, timeouts, maxConnections, now, random } = this.#options;
    if (this.#all.size + this.#dialling >= maxConnections) {
      throw new UpstreamError(503, `there are ${maxConnections} connections to the upstream already`);
    }
    const connection = new UpstreamConnection(
      timeouts,
      (free) => this.#free(free),
      (gone) => this.#gone(gone),
    );
    this.#dialling++;
    try {
      connection.socket = await transport.connect({ address, tls, timeout: timeouts.connect }, connection);
    } catch (error) {
      if (isRefusal(error)) throw error;
      throw new UpstreamError(503, `no connection to ${this.name}: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      this.#dialling--;
    }
    const { peer, material } = connection.socket;
    this.#all.set(connection, {
      retireAt: retireAt({ peer, material, now: now(), random: random() }),
      idleSince: 0,
    });
    return connection;
  }

  #free(connection: UpstreamConnection): void {
    const pooled = this.#all.get(connection);
    if (pooled === undefined || this.#idle.length >= this.#options.maxIdle || !this.#isFresh(connection)) {
      connection.destroy();
      return;
    }
    pooled.idleSince = performance.now();
    this.#idle.push(connection);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP);
  }

  #gone(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  #sweep(): void {
    const oldest = performance.now() - this.#options.idleTimeout;
    const isOver = (connection: UpstreamConnection) =>
      (this.#all.get(connection)?.idleSince ?? 0) < oldest || !this.#isFresh(connection);
    for (const connection of this.#idle.filter(isOver)) connection.destroy();
    if (this.#idle.length > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}

function currentMaterial(tls: TlsSettings) {
  try {
    return tls.material();
  } catch {
    return undefined;
  }
}

// The verifier's own error passes as it is: the log names the ID seen and those accepted.
function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'SpiffeError';
}
