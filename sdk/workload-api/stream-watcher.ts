// Keeps what one stream of the Workload API says: the first value awaited, changes told, reconnects by itself. All sources
// are made of these.
import { status } from '@grpc/grpc-js';
import { createBackoff, delay } from '../backoff.ts';
import { messageOf, SpiffeError } from '../error.ts';
import { grpcCodeOf, WorkloadApiClient } from './client.ts';

/** What happens to a stream, for logs. */
export type StreamEvent =
  | { readonly kind: 'updated' }
  /** What was given was withdrawn: PermissionDenied. The source goes on asking. */
  | { readonly kind: 'denied'; readonly reason: string }
  /**
   * The endpoint is away, or sent something that was not, or not wholly, taken over. What was known stays in use. `retryIn` is milliseconds:
   * 0 if the stream goes on, Infinity if the endpoint said that the call can never work.
   */
  | { readonly kind: 'interrupted'; readonly reason: string; readonly retryIn: number };

/** Options of every source. */
export interface SourceOptions {
  /** Default: `SPIFFE_ENDPOINT_SOCKET`. */
  readonly endpoint?: string;
  /** Ends the source, and a wait for its first value. */
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
  /** The longest wait between two attempts, in milliseconds. Default 5,000. */
  readonly maxBackoff?: number;
}

/** What one stream is, and how its messages become state. */
export interface StreamKind<Message, State> {
  /** What it gives, for messages to people. */
  readonly gives: string;
  readonly call: (client: WorkloadApiClient, signal: AbortSignal) => AsyncIterable<Message>;
  /** Reads a message; throws if it must be discarded as a whole. */
  readonly read: (message: Message, known: State | undefined) => State;
  readonly onEvent: (event: StreamEvent) => void;
}

/** One stream, and what it said last. */
export class StreamWatcher<Message, State> {
  readonly #kind: StreamKind<Message, State>;
  readonly #options: SourceOptions;
  readonly #controller = new AbortController();
  readonly #changed: () => void;
  #state: State | undefined;
  #fatal: SpiffeError | undefined;
  #running: Promise<void> = Promise.resolve();
  #first: () => void = () => {};

  /** @param changed Called after every change of the state, also after a withdrawal. */
  constructor(kind: StreamKind<Message, State>, options: SourceOptions, changed: () => void) {
    this.#kind = kind;
    this.#options = options;
    this.#changed = changed;
  }

  /** What was said last; undefined before the first message and after a withdrawal. */
  get state(): State | undefined {
    return this.#state;
  }

  /**
   * Connects and waits for the first state, retrying until the signal aborts.
   *
   * @throws SpiffeError `ERR_ENDPOINT`; `ERR_WORKLOAD_API` if the endpoint says that the call can never work
   * (InvalidArgument, Unimplemented); `ERR_NO_IDENTITY` if the signal aborts first.
   */
  async start(): Promise<void> {
    const { signal } = this.#options;
    const stop = () => this.#controller.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const first = new Promise<void>((resolve) => (this.#first = resolve));
    this.#running = this.#run().finally(() => signal?.removeEventListener('abort', stop));
    await Promise.race([first, this.#running]);
    if (this.#fatal !== undefined) throw this.#fatal;
    if (this.#state === undefined) {
      throw new SpiffeError('ERR_NO_IDENTITY', `stopped before the Workload API gave ${this.#kind.gives}`);
    }
  }

  /** Ends the stream and the retries. What was known stays readable. */
  async close(): Promise<void> {
    this.#controller.abort(new Error('the source was closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    const backoff = createBackoff({ initial: 100, max: this.#options.maxBackoff ?? 5_000 });
    while (!signal.aborted) {
      const problem = await this.#follow(() => backoff.reset(), signal);
      if (signal.aborted || this.#giveUp(problem)) return;
      const retryIn = backoff.next();
      if (grpcCodeOf(problem) === status.PERMISSION_DENIED) {
        // Redacted: stop using it (WAPI-26), and ask again, since an entry may come (WE-13).
        this.#set(undefined);
        this.#kind.onEvent({ kind: 'denied', reason: messageOf(problem) });
      } else this.#kind.onEvent({ kind: 'interrupted', reason: messageOf(problem), retryIn });
      await delay(retryIn, signal);
    }
  }

  // One stream to its end; gives why it ended.
  async #follow(received: () => void, signal: AbortSignal): Promise<unknown> {
    try {
      using client = new WorkloadApiClient(this.#options.endpoint);
      for await (const message of this.#kind.call(client, signal)) {
        received();
        this.#take(message);
      }
      return new Error('the Workload API ended the stream');
    } catch (error) {
      return error;
    }
  }

  // A message that is wrong is discarded, what was known stays, and the stream goes on (WAPI-10).
  #take(message: Message): void {
    let state: State;
    try {
      state = this.#kind.read(message, this.#state);
    } catch (error) {
      this.#kind.onEvent({ kind: 'interrupted', reason: messageOf(error), retryIn: 0 });
      return;
    }
    this.#set(state);
  }

  // InvalidArgument and Unimplemented do not get better by asking again (WE-06, WE-14); nor does a bad endpoint.
  #giveUp(problem: unknown): boolean {
    const code = grpcCodeOf(problem);
    const hopeless = code === status.INVALID_ARGUMENT || code === status.UNIMPLEMENTED;
    if (problem instanceof SpiffeError) this.#fatal = problem;
    else if (hopeless) {
      const reason = `the Workload API refused to give ${this.#kind.gives}: ${messageOf(problem)}`;
      this.#fatal = new SpiffeError('ERR_WORKLOAD_API', reason, { cause: problem });
    } else return false;
    this.#kind.onEvent({ kind: 'interrupted', reason: messageOf(this.#fatal), retryIn: Infinity });
    return true;
  }

  #set(state: State | undefined): void {
    const changed = state !== this.#state;
    this.#state = state;
    if (state !== undefined) {
      this.#kind.onEvent({ kind: 'updated' });
      this.#first();
    }
    if (changed) this.#changed();
  }
}

/** Something that starts and closes, as a watcher does. */
type Startable = Pick<StreamWatcher<never, never>, 'start' | 'close'>;

/**
 * Starts several watchers; a failure closes them all. With `partial`, one that is not served (Unimplemented) is passed
 * over as long as another is.
 *
 * @throws SpiffeError The failure, once all are closed.
 */
export async function startAll(
  watchers: readonly Startable[],
  options: { readonly partial?: boolean } = {},
): Promise<void> {
  const close = () => Promise.all(watchers.map((watcher) => watcher.close()));
  let serious: unknown;
  const unserved: unknown[] = [];
  const start = async (watcher: Startable): Promise<void> => {
    try {
      await watcher.start();
    } catch (error) {
      if (options.partial === true && isUnimplemented(error)) unserved.push(error);
      else {
        serious ??= error;
        await close();
      }
    }
  };
  await Promise.all(watchers.map(start));
  if (serious !== undefined) throw serious;
  if (unserved.length === watchers.length) throw unserved[0];
}

function isUnimplemented(thrown: unknown): boolean {
  return thrown instanceof SpiffeError && grpcCodeOf(thrown.cause) === status.UNIMPLEMENTED;
}
