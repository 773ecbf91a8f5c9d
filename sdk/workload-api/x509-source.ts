// An X509-SVID and bundles that stay fresh: the first value awaited, updates pushed, reconnects by itself.
import type { X509SVIDResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { Listeners } from './listeners.ts';
import { chooseSvid, expectFresh } from './messages.ts';
import { StreamWatcher, type SourceOptions, type StreamEvent } from './stream-watcher.ts';
import { neverBackwards, readX509Context, type X509Context } from './x509-context.ts';

/** What happens to a source, for logs. `svid` is the first that was given. */
export type SourceEvent =
  | { readonly kind: 'updated'; readonly svid: X509Svid }
  | Exclude<StreamEvent, { readonly kind: 'updated' }>;

/** Options of {@link X509Source.open}. */
export interface X509SourceOptions extends SourceOptions {
  /**
   * Which of several identities is meant: the one that the operator gave this hint (Workload API 8). Without it, the first.
   * While none has it, `current` throws; another identity is never used in its place.
   */
  readonly hint?: string;
  readonly onEvent?: (event: SourceEvent) => void;
}

/** The identities of this workload and the bundles to judge peers by, from FetchX509SVID. */
export class X509Source implements X509BundleSource, AsyncDisposable {
  readonly #options: X509SourceOptions;
  readonly #listeners: Listeners;
  readonly #now: () => number;
  readonly #watcher: StreamWatcher<X509SVIDResponse, X509Context>;

  private constructor(options: X509SourceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#listeners = new Listeners(options.signal);
    this.#watcher = new StreamWatcher(
      {
        gives: 'an identity',
        call: (client, signal) => client.fetchX509Svid(signal),
        read: (message, held) => this.#read(message, held),
        onEvent: (event) => this.#emit(event),
      },
      options,
      () => this.#listeners.tell(),
    );
  }

  /**
   * Connects and waits for the first SVID, retrying until the signal aborts.
   *
   * @throws SpiffeError `ERR_ENDPOINT`; `ERR_WORKLOAD_API` if the endpoint says the call can never work
   * (InvalidArgument, Unimplemented); `ERR_NO_IDENTITY` if the signal aborts first.
   */
  static async open(options: X509SourceOptions = {}): Promise<X509Source> {
    const source = new X509Source(options);
    await source.#watcher.start();
    return source;
  }

  /**
   * The identity to present: the first that the Workload API gave, or the one with the hint of the options.
   *
   * @throws SpiffeError `ERR_NO_IDENTITY` if it was withdrawn or none has the hint, `ERR_SVID_EXPIRED` if it ran out: it is
   * never handed out silently.
   */
  current(): X509Svid {
    const svid = chooseSvid(this.#watcher.state?.svids, this.#options.hint);
    return expectFresh(svid, svid.notAfter, this.#now());
  }

  /** All identities, in the order of the Workload API, expired ones too; empty after a withdrawal. */
  svids(): readonly X509Svid[] {
    return this.#watcher.state?.svids ?? [];
  }

  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#watcher.state?.bundles.get(trustDomain);
  }

  /** Calls `listener` after every change, also after a withdrawal; the returned function ends that. */
  onUpdate(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * All identities now, and again after every change (none after a withdrawal), until the signal aborts or the source is
   * closed. A slow loop misses what came between, never the latest.
   */
  updates(signal?: AbortSignal): AsyncGenerator<readonly X509Svid[], void, undefined> {
    return this.#listeners.follow(() => this.svids(), signal);
  }

  /** Ends the stream and the retries. */
  async close(): Promise<void> {
    this.#listeners.close();
    await this.#watcher.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #read(message: X509SVIDResponse, held: X509Context | undefined): X509Context {
    const tell = (reason: string) => this.#options.onEvent?.({ kind: 'interrupted', reason, retryIn: 0 });
    const { context, kept } = neverBackwards(readX509Context(message, tell), held, this.#now());
    for (const { id } of kept) tell(`an older SVID of ${id} than the one in use was not taken`);
    return context;
  }

  #emit(event: StreamEvent): void {
    if (event.kind !== 'updated') this.#options.onEvent?.(event);
    else this.#options.onEvent?.({ kind: 'updated', svid: this.#watcher.state!.svids[0] });
  }
}
