// A WIT-SVID with its key and WIT bundles that stay fresh (Incubating: behind the experimental switch).
import type { WITBundlesResponse, WITSVIDResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import type { WitBundle, WitBundleSource } from '../bundle/wit-bundle.ts';
import type { SpiffeId, TrustDomain } from '../spiffe-id.ts';
import { expectWitEnabled } from '../wit-svid/experimental.ts';
import type { HeldWitSvid } from '../wit-svid/held-wit-svid.ts';
import { Listeners } from './listeners.ts';
import { chooseSvid, expectFresh } from './messages.ts';
import { startAll, StreamWatcher, type SourceOptions, type StreamEvent } from './stream-watcher.ts';
import { readWitBundles, readWitSvids, type WitSvids } from './wit-context.ts';

/** Options of {@link WitSource.open}. */
export interface WitSourceOptions extends SourceOptions {
  /** `{ wit: true }`, or opening is refused. */
  readonly experimental: Experimental;
  /** Which identity is asked for. Default: all of this workload's. */
  readonly id?: SpiffeId;
  /** Of several identities, the one that the operator gave this hint. Default: the first. */
  readonly hint?: string;
  readonly onEvent?: (event: StreamEvent & { readonly of: 'svid' | 'bundles' }) => void;
}

/** The WIT profile of the Workload API. */
export class WitSource implements WitBundleSource, AsyncDisposable {
  readonly #options: WitSourceOptions;
  readonly #listeners: Listeners;
  readonly #svids: StreamWatcher<WITSVIDResponse, WitSvids>;
  readonly #bundles: StreamWatcher<WITBundlesResponse, ReadonlyMap<TrustDomain, WitBundle>>;

  private constructor(options: WitSourceOptions) {
    this.#options = options;
    const { experimental, id } = options;
    this.#listeners = new Listeners(options.signal);
    const changed = () => this.#listeners.tell();
    this.#svids = new StreamWatcher(
      {
        gives: 'a WIT-SVID',
        call: (client, signal) => client.fetchWitSvid({ experimental, id, signal }),
        read: (message) => readWitSvids(message, { experimental, id }),
        onEvent: (event) => options.onEvent?.({ ...event, of: 'svid' }),
      },
      options,
      changed,
    );
    this.#bundles = new StreamWatcher(
      {
        gives: 'WIT bundles',
        call: (client, signal) => client.fetchWitBundles({ experimental, signal }),
        read: readWitBundles,
        onEvent: (event) => options.onEvent?.({ ...event, of: 'bundles' }),
      },
      options,
      changed,
    );
  }

  /**
   * Connects and waits for the first WIT-SVID and the first bundles, retrying until the signal aborts.
   *
   * @throws TypeError without the experimental switch; SpiffeError `ERR_ENDPOINT`; `ERR_WORKLOAD_API` if the endpoint has no
   * WIT profile (Unimplemented: it is not asked again, WAPI-61) or refuses the call; `ERR_NO_IDENTITY` if the signal
   * aborts first.
   */
  static async open(options: WitSourceOptions): Promise<WitSource> {
    expectWitEnabled(options);
    const source = new WitSource(options);
    await startAll([source.#svids, source.#bundles]);
    return source;
  }

  /**
   * The WIT-SVID to present, with proof: the first that was given, or the one with the hint.
   *
   * @throws SpiffeError `ERR_NO_IDENTITY` if it was withdrawn or none has the hint, `ERR_SVID_EXPIRED` if it ran out.
   */
  current(): HeldWitSvid {
    const svid = chooseSvid(this.#svids.state, this.#options.hint);
    return expectFresh(svid, svid.expiresAt, (this.#options.now ?? Date.now)());
  }

  /** All WIT-SVIDs, expired ones too; empty after a withdrawal. */
  svids(): readonly HeldWitSvid[] {
    return this.#svids.state ?? [];
  }

  witBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return this.#bundles.state?.get(trustDomain);
  }

  /** Calls `listener` after every change, also after a withdrawal; the returned function ends that. */
  onUpdate(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** All WIT-SVIDs now, and again after every change, until the signal aborts or the source is closed. */
  updates(signal?: AbortSignal): AsyncGenerator<readonly HeldWitSvid[], void, undefined> {
    return this.#listeners.follow(() => this.svids(), signal);
  }

  /** Ends the streams and the retries. */
  async close(): Promise<void> {
    this.#listeners.close();
    await Promise.all([this.#svids.close(), this.#bundles.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
