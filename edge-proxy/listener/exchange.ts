// One request and its response: the facts that the layers read, and what the engine does for them.
import { randomBytes } from 'node:crypto';
import type { CanonicalTarget, TargetRefusal } from '../../sdk/policy/policy.ts';
import type { IncomingBody } from '../http1/incoming-body.ts';
import type { RequestHead } from '../http1/request.ts';
import type { Peer } from '../transport/socket.ts';

/** Which way a listener faces. */
export type Direction = 'inbound' | 'outbound' | 'admin';

/** Whose connection a request came on. */
export interface Origin {
  readonly listener: string;
  readonly direction: Direction;
  /** Verified at the handshake; undefined on a plain listener. */
  readonly peer: Peer | undefined;
  readonly remoteAddress: string;
}

/** A response whose body the engine copies as bytes. It is known by its stream, so headers may be changed freely. */
export interface Forwarded {
  /** The body of the `Response`; null if it has none. Reading it instead of copying works, too. */
  readonly stream: ReadableStream<Uint8Array> | null;
  readonly body: IncomingBody;
}

/** How an exchange ended. */
export interface Outcome {
  /** 0 if the caller went away before it was answered. */
  readonly status: number;
  readonly milliseconds: number;
  /** Set if the response broke off. */
  readonly error?: Error;
}

/** Bindings (`c.env`) of every layer. Method, authority and target are frozen: exactly they are judged and forwarded. */
export class Exchange {
  readonly id: string = randomBytes(16).toString('hex');
  readonly origin: Origin;
  readonly head: RequestHead;
  readonly target: CanonicalTarget | TargetRefusal;
  readonly body: IncomingBody;
  /** Set by the layer that forwards. */
  forwarded: Forwarded | undefined;
  readonly #startedAt = performance.now();
  readonly #onBodyWanted: () => void;
  readonly #endListeners: ((outcome: Outcome) => void)[] = [];
  readonly #abortListeners: ((error: Error) => void)[] = [];
  #ended = false;

  constructor(
    origin: Origin,
    head: RequestHead,
    target: CanonicalTarget | TargetRefusal,
    body: IncomingBody,
    onBodyWanted: () => void,
  ) {
    this.origin = origin;
    this.head = head;
    this.target = target;
    this.body = body;
    this.#onBodyWanted = onBodyWanted;
  }

  /** Say so before the body is read: a caller that sent `Expect: 100-continue` waits for it (RFC 9110 10.1.1). */
  wantBody(): void {
    this.#onBodyWanted();
  }

  /** Called once, when the last byte is on its way or nothing more will be sent. */
  onEnd(listener: (outcome: Outcome) => void): void {
    this.#endListeners.push(listener);
  }

  /** Called if the exchange breaks off: the caller went away, or the response cannot be finished. */
  onAbort(listener: (error: Error) => void): void {
    this.#abortListeners.push(listener);
  }

  /** For the engine only. */
  end(status: number, error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error !== undefined) for (const listener of this.#abortListeners) listener(error);
    const milliseconds = performance.now() - this.#startedAt;
    for (const listener of this.#endListeners) listener({ status, milliseconds, error });
  }
}
