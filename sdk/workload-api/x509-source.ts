// An X509-SVID and bundles that stay fresh: the first value awaited, updates pushed, reconnects by itself.
import { status } from '@grpc/grpc-js';
import { createBackoff, delay } from '../backoff.ts';
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts';
import { messageOf, SpiffeError } from '../error.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { WorkloadApiClient } from './client.ts';
import { readX509Context, type X509Context } from './x509-context.ts';

/** What happens to a source, for logs. */
export type SourceEvent =
  | { readonly kind: 'updated'; readonly svid: X509Svid }
  /** The identity was withdrawn: PermissionDenied. The source goes on asking. */
  | { readonly kind: 'denied'; readonly reason: string }
  /** The endpoint is away or sent a bad message. What was known stays in use. */
  | { readonly kind: 'interrupted'; readonly reason: string; readonly retryIn: number };

/** Options of {@link X509Source.open}. */
export interface X509SourceOptions {
  /** Default: `SPIFFE_ENDPOINT_SOCKET`. */
  readonly endpoint?: string;
  /** Ends the source, and a wait for the first SVID. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SourceEvent) => void;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
  /** The longest wait between two attempts, in milliseconds. Default 5,000. */
  readonly maxBackoff?: number;
}

export class X509Source implements X509BundleSource, AsyncDisposable {
  readonly #options: X509SourceOptions;
  readonly #controller = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #now: () => number;
  #context: X509Context | undefined;
  #fatal: Error | undefined;
  #running: Promise<void> = Promise.resolve();

  private constructor(options: X509SourceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Connects and waits for the first SVID, retrying until the signal aborts.
   *
   * @throws SpiffeError `ERR_ENDPOINT`; `ERR_WORKLOAD_API` if the endpoint says the call can never work
   * (InvalidArgument, Unimplemented); the signal's reason.
   */
  static async open(options: X509SourceOptions = {}): Promise<X509Source> {
    const source = new X509Source(options);
    const stop = () => source.#controller.abort(options.signal?.reason);
    if (options.signal?.aborted) stop();
    options.signal?.addEventListener('abort', stop, { once: true });
    const first = new Promise<void>((resolve) => {
      const unsubscribe = source.onUpdate(() => {
        unsubscribe();
        resolve();
      });
    });
    source.#running = source.#run().finally(() => options.signal?.removeEventListener('abort', stop));
    await Promise.race([first, source.#running]);
    if (source.#fatal !== undefined) throw source.#fatal;
    if (source.#context === undefined) {
      throw new SpiffeError('ERR_NO_IDENTITY', 'stopped before the Workload API gave an identity');
    }
    return source;
  }

  /**
   * The default identity: the first that the Workload API gave.
   *
   * @throws SpiffeError `ERR_NO_IDENTITY` if it was withdrawn, `ERR_SVID_EXPIRED` if it ran out: it is never handed out
   * silently.
   */
  current(): X509Svid {
    const svid = this.#context?.svids[0];
    if (svid === undefined)
      throw new SpiffeError('ERR_NO_IDENTITY', 'the Workload API gives this process no identity');
    if (this.#now() > svid.notAfter) {
      throw new SpiffeError(
        'ERR_SVID_EXPIRED',
        `${svid.id} expired at ${new Date(svid.notAfter).toISOString()} and the Workload API gave no newer one`,
        { detail: { id: svid.id } },
      );
    }
    return svid;
  }

  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#context?.bundles.get(trustDomain);
  }

  /** Calls `listener` after every change, also after a withdrawal; the returned function ends that. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the stream and the retries. */
  async close(): Promise<void> {
    this.#controller.abort(new Error('the source was closed'));
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    const backoff = createBackoff({ initial: 100, max: this.#options.maxBackoff ?? 5_000 });
    while (!signal.aborted) {
      let problem: unknown = new Error('the Workload API ended the stream');
      try {
        using client = new WorkloadApiClient(this.#options.endpoint);
        for await (const message of client.fetchX509Svid(signal)) {
          backoff.reset();
          try {
            this.#set(readX509Context(message));
          } catch (error) {
            // The message is discarded, what was known stays, and the stream goes on (WAPI-10).
            this.#emit({ kind: 'interrupted', reason: messageOf(error), retryIn: 0 });
          }
        }
      } catch (error) {
        problem = error;
      }
      if (signal.aborted) return;
      if (this.#giveUp(problem)) return;
      const retryIn = backoff.next();
      if (codeOf(problem) === status.PERMISSION_DENIED) {
        // Redacted: stop using it (WAPI-26), and ask again, since an entry may come (WE-13).
        this.#set(undefined);
        this.#emit({ kind: 'denied', reason: messageOf(problem) });
      } else this.#emit({ kind: 'interrupted', reason: messageOf(problem), retryIn });
      await delay(retryIn, signal);
    }
  }

  // InvalidArgument and Unimplemented do not get better by asking again (WE-06, WE-14); nor does a bad endpoint.
  #giveUp(problem: unknown): boolean {
    const code = codeOf(problem);
    const hopeless = code === status.INVALID_ARGUMENT || code === status.UNIMPLEMENTED;
    if (problem instanceof SpiffeError) this.#fatal = problem;
    else if (hopeless) {
      this.#fatal = new SpiffeError(
        'ERR_WORKLOAD_API',
        `the Workload API refused the call: ${messageOf(problem)}`,
        {
          cause: problem,
        },
      );
    }
    return this.#fatal !== undefined;
  }

  #set(context: X509Context | undefined): void {
    const changed = context !== this.#context;
    this.#context = context;
    if (context !== undefined) this.#emit({ kind: 'updated', svid: context.svids[0] });
    if (changed) for (const listener of this.#listeners) listener();
  }

  #emit(event: SourceEvent): void {
    this.#options.onEvent?.(event);
  }
}

function codeOf(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number'
    ? thrown.code
    : undefined;
}
