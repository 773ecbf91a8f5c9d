// What a listener is made of, and how long and how much it waits for.
import type { Exchange, Direction } from './exchange.ts';
import type { Origin } from './exchange.ts';

/** A Hono app, or anything else that answers. */
export interface ExchangeHandler {
  fetch(request: Request, exchange: Exchange): Response | Promise<Response>;
}

/** Milliseconds. */
export interface Timeouts {
  /** Between two requests of one connection. */
  readonly idle: number;
  /** From the first byte of a head to its end. */
  readonly head: number;
  /** Without any progress of a body, in either direction. */
  readonly body: number;
  /** For a peer to read the last of a response before the connection is destroyed. */
  readonly linger: number;
  /** After the peer's SVID expired, for the request in flight. */
  readonly expiry: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  idle: 60_000,
  head: 10_000,
  body: 30_000,
  linger: 1_000,
  expiry: 5_000,
};

/** A request that was refused before the layers could see it. */
export interface Malformed {
  readonly id: string;
  readonly origin: Origin;
  readonly status: number;
  readonly reason: string;
}

/** How a listener serves. */
export interface ListenerSettings {
  readonly name: string;
  readonly direction: Direction;
  readonly handler: ExchangeHandler;
  readonly timeouts: Timeouts;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  onMalformed(malformed: Malformed): void;
  /** Decrypted bytes that came in. */
  onBytes(count: number): void;
}
