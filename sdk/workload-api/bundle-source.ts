// X.509 and JWT bundles that stay fresh, for whoever validates and needs no identity (Workload API 5.2.2, 6.2.2).
import type { JWTBundlesResponse, X509BundlesResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import type { JwtBundle, JwtBundleSource } from '../bundle/jwt-bundle.ts';
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import { readJwtBundles } from './jwt-context.ts';
import { Listeners } from './listeners.ts';
import { startAll, StreamWatcher, type SourceOptions, type StreamEvent } from './stream-watcher.ts';
import { readX509Bundles } from './x509-context.ts';

/** Options of {@link BundleSource.open}. */
export interface BundleSourceOptions extends SourceOptions {
  readonly onEvent?: (event: StreamEvent & { readonly profile: 'x509' | 'jwt' }) => void;
}

type Watcher<Message, Bundle> = StreamWatcher<Message, ReadonlyMap<TrustDomain, Bundle>>;

/** The bundles of this workload's own and of federated trust domains. */
export class BundleSource implements X509BundleSource, JwtBundleSource, AsyncDisposable {
  readonly #listeners: Listeners;
  readonly #x509: Watcher<X509BundlesResponse, X509Bundle>;
  readonly #jwt: Watcher<JWTBundlesResponse, JwtBundle>;

  private constructor(options: BundleSourceOptions) {
    this.#listeners = new Listeners(options.signal);
    const changed = () => this.#listeners.tell();
    this.#x509 = new StreamWatcher(
      {
        gives: 'X.509 bundles',
        call: (client, signal) => client.fetchX509Bundles(signal),
        read: readX509Bundles,
        onEvent: (event) => options.onEvent?.({ ...event, profile: 'x509' }),
      },
      options,
      changed,
    );
    this.#jwt = new StreamWatcher(
      {
        gives: 'JWT bundles',
        call: (client, signal) => client.fetchJwtBundles(signal),
        read: readJwtBundles,
        onEvent: (event) => options.onEvent?.({ ...event, profile: 'jwt' }),
      },
      options,
      changed,
    );
  }

  /**
   * Connects and waits for the first bundles of both profiles, retrying until the signal aborts. A profile that the
   * operator switched off (Unimplemented) has no bundles, so nothing of it is trusted.
   *
   * @throws SpiffeError `ERR_ENDPOINT`; `ERR_WORKLOAD_API` if the endpoint says that neither call can ever work, or that
   * ours are wrong; `ERR_NO_IDENTITY` if the signal aborts first.
   */
  static async open(options: BundleSourceOptions = {}): Promise<BundleSource> {
    const source = new BundleSource(options);
    await startAll([source.#x509, source.#jwt], { partial: true });
    return source;
  }

  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#x509.state?.get(trustDomain);
  }

  jwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.#jwt.state?.get(trustDomain);
  }

  /** The trust domains that there is a bundle of, of either kind. */
  trustDomains(): readonly TrustDomain[] {
    return [...new Set([...(this.#x509.state?.keys() ?? []), ...(this.#jwt.state?.keys() ?? [])])];
  }

  /** Calls `listener` after every change, also after a withdrawal; the returned function ends that. */
  onUpdate(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** The trust domains now, and again after every change of a bundle, until the signal aborts or the source is closed. */
  updates(signal?: AbortSignal): AsyncGenerator<readonly TrustDomain[], void, undefined> {
    return this.#listeners.follow(() => this.trustDomains(), signal);
  }

  /** Ends the streams and the retries. */
  async close(): Promise<void> {
    this.#listeners.close();
    await Promise.all([this.#x509.close(), this.#jwt.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
