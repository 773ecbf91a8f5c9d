// A body on its way through: pushed by the connection that reads it, pulled along by the one that writes it, and never
// more of it in memory than one read and what the writer's socket holds.
import type { Fields } from './fields.ts';
import type { Framing } from './framing.ts';

/** Where a body goes. */
export interface BodySink {
  /** False: call `ready` on the body before more comes. */
  write(piece: Uint8Array): boolean;
  end(trailers: Fields): void;
  /** The body broke off: what was written is no whole message. */
  fail(error: Error): void;
}

/** The connection that reads the body. */
export interface Flow {
  pause(): void;
  resume(): void;
}

export class IncomingBody {
  readonly framing: Framing;
  readonly #flow: Flow;
  readonly #queue: Uint8Array[] = [];
  #sink: BodySink | undefined;
  #outcome: { trailers: Fields } | { error: Error } | undefined;
  #paused = false;

  constructor(framing: Framing, flow: Flow) {
    this.framing = framing;
    this.#flow = flow;
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0)) this.finish([]);
  }

  /** Whether all of it has arrived. */
  get complete(): boolean {
    return this.#outcome !== undefined && 'trailers' in this.#outcome;
  }

  push(piece: Uint8Array): void {
    if (this.#outcome !== undefined) return;
    if (this.#sink === undefined) this.#queue.push(piece);
    else if (this.#sink.write(piece)) return;
    this.#pause();
  }

  finish(trailers: Fields): void {
    this.#settle({ trailers });
  }

  fail(error: Error): void {
    this.#settle({ error });
  }

  /** Hands over everything, now and later. At most once. */
  pipe(sink: BodySink): void {
    if (this.#sink !== undefined) throw new TypeError('the body has been taken already');
    this.#sink = sink;
    let more = true;
    for (const piece of this.#queue.splice(0)) more = sink.write(piece) && more;
    this.#tellOutcome();
    if (more) this.ready();
  }

  /** The sink takes more. */
  ready(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#flow.resume();
  }

  /** A fresh one of a message without a body, to send it again. */
  empty(): IncomingBody {
    if (this.framing.kind !== 'none') throw new TypeError('a body cannot be sent again');
    return new IncomingBody(this.framing, this.#flow);
  }

  /** Reads the rest and drops it. */
  discard(): void {
    if (this.#sink === undefined) this.pipe({ write: () => true, end() {}, fail() {} });
  }

  #settle(outcome: { trailers: Fields } | { error: Error }): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#tellOutcome();
  }

  #tellOutcome(): void {
    if (this.#sink === undefined || this.#outcome === undefined) return;
    if ('trailers' in this.#outcome) this.#sink.end(this.#outcome.trailers);
    else this.#sink.fail(this.#outcome.error);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#flow.pause();
  }
}

/** The body as a stream, for whoever wants to read it in JavaScript. */
export function streamOf(body: IncomingBody): ReadableStream<Uint8Array> {
  let started = false;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (started) {
          body.ready();
          return;
        }
        started = true;
        body.pipe({
          write(piece) {
            controller.enqueue(piece);
            return (controller.desiredSize ?? 0) > 0;
          },
          end: () => controller.close(),
          fail: (error) => controller.error(error),
        });
      },
      cancel() {
        if (!started) body.discard();
      },
    },
    { highWaterMark: 0 },
  );
}

/** The bytes of a body that is small, or an error. */
export function collect(body: IncomingBody, most: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = [];
    let length = 0;
    body.pipe({
      write(piece) {
        length += piece.length;
        if (length > most) reject(new Error(`the body is longer than ${most} bytes`));
        else pieces.push(piece);
        return true;
      },
      end() {
        const whole = new Uint8Array(length);
        let at = 0;
        for (const piece of pieces) {
          whole.set(piece, at);
          at += piece.length;
        }
        resolve(whole);
      },
      fail: reject,
    });
  });
}
