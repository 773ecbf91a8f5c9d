// JWT-SVIDs for whatever audience is asked for, kept and renewed, and the JWT bundles to judge peers by.
import type { JWTBundlesResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import type { JwtBundle, JwtBundleSource } from '../bundle/jwt-bundle.ts';
import { messageOf, SpiffeError } from '../error.ts';
import type { JwtSvid } from '../jwt-svid/jwt-svid.ts';
import { validateJwtSvid } from '../jwt-svid/validate.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import { WorkloadApiClient, type JwtSvidQuery, type UnaryOptions } from './client.ts';
import { readJwtBundles, type ValidatedToken } from './jwt-context.ts';
import { JwtSvidCache } from './jwt-svid-cache.ts';
import { Listeners } from './listeners.ts';
import { chooseSvid, expectFresh } from './messages.ts';
import { StreamWatcher, type SourceOptions, type StreamEvent } from './stream-watcher.ts';

/** Options of {@link JwtSource.open}. */
export interface JwtSourceOptions extends SourceOptions {
  readonly onEvent?: (event: StreamEvent) => void;
}

/** Which JWT-SVID is meant. */
export interface JwtSvidRequest extends JwtSvidQuery {
  /** Of several identities, the one that the operator gave this hint. Default: the first. */
  readonly hint?: string;
  /** Ends the wait; a call that others wait for too goes on. */
  readonly signal?: AbortSignal;
}

/** The JWT profile of the Workload API, over one connection. */
export class JwtSource implements JwtBundleSource, AsyncDisposable {
  readonly #listeners: Listeners;
  readonly #now: () => number;
  readonly #client: WorkloadApiClient;
  readonly #cache: JwtSvidCache;
  readonly #watcher: StreamWatcher<JWTBundlesResponse, ReadonlyMap<TrustDomain, JwtBundle>>;
  #closed = false;

  private constructor(options: JwtSourceOptions) {
    this.#now = options.now ?? Date.now;
    this.#listeners = new Listeners(options.signal);
    this.#client = new WorkloadApiClient(options.endpoint);
    this.#cache = new JwtSvidCache(this.#now, (key, error) => {
      const denied = isDenied(error);
      if (denied) this.#cache.delete(key);
      const reason = messageOf(error);
      options.onEvent?.(denied ? { kind: 'denied', reason } : { kind: 'interrupted', reason, retryIn: 0 });
    });
    this.#watcher = new StreamWatcher(
      {
        gives: 'JWT bundles',
        call: (client, signal) => client.fetchJwtBundles(signal),
        read: readJwtBundles,
        onEvent: (event) => {
          // Redacted: tokens that were given before are no longer used either (WAPI-26).
          if (event.kind === 'denied') this.#cache.clear();
          options.onEvent?.(event);
        },
      },
      options,
      () => this.#listeners.tell(),
    );
  }

  /**
   * Connects and waits for the first JWT bundles, retrying until the signal aborts.
   *
   * @throws SpiffeError `ERR_ENDPOINT`; `ERR_WORKLOAD_API` if the endpoint says the call can never work
   * (InvalidArgument, Unimplemented); `ERR_NO_IDENTITY` if the signal aborts first.
   */
  static async open(options: JwtSourceOptions = {}): Promise<JwtSource> {
    const source = new JwtSource(options);
    try {
      await source.#watcher.start();
    } catch (error) {
      await source.close();
      throw error;
    }
    return source;
  }

  /**
   * A JWT-SVID for an audience. It is kept by audience and ID, renewed in the second half of its life, and one that ends
   * within five seconds is fetched anew.
   *
   * @throws SpiffeError `ERR_NO_IDENTITY` if this workload has no identity, not the one asked for, or none with the hint;
   * `ERR_SVID_EXPIRED` if what the endpoint gives has expired; `ERR_WORKLOAD_API`; TypeError without an audience.
   */
  async svid(request: JwtSvidRequest): Promise<JwtSvid> {
    if (this.#closed) throw new TypeError('the source was closed');
    const { audience, id, hint, signal } = request;
    const audiences = typeof audience === 'string' ? [audience] : [...audience];
    const key = JSON.stringify([id ?? '', ...audiences]);
    try {
      const fetched = this.#cache.get(key, () => this.#client.fetchJwtSvids({ audience: audiences, id }));
      const svids = await (signal === undefined ? fetched : untilAborted(fetched, signal));
      const svid = chooseSvid(svids, hint);
      return expectFresh(svid, svid.expiresAt, this.#now());
    } catch (error) {
      if (isDenied(error)) this.#cache.delete(key);
      throw error;
    }
  }

  /**
   * Validates a token that a peer presented, by the endpoint (WAPI-50).
   *
   * @throws SpiffeError `ERR_SVID_UNTRUSTED` if the endpoint says no, `ERR_WORKLOAD_API` if it cannot say.
   */
  validate(token: string, audience: string, options: UnaryOptions = {}): Promise<ValidatedToken> {
    return this.#client.validateJwtSvid(token, audience, options);
  }

  /**
   * Validates a token that a peer presented, by the bundles held here: no call, and no answer about what the endpoint alone
   * knows.
   *
   * @throws SpiffeError as `validateJwtSvid`.
   */
  validateLocally(token: string, audience: string | readonly string[]): JwtSvid {
    return validateJwtSvid(token, this, { audience, now: this.#now() });
  }

  jwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.#watcher.state?.get(trustDomain);
  }

  /** Calls `listener` after every change of the bundles, also after a withdrawal; the returned function ends that. */
  onUpdate(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** The trust domains that there is a bundle of, now and after every change, until the signal aborts or `close`. */
  updates(signal?: AbortSignal): AsyncGenerator<readonly TrustDomain[], void, undefined> {
    return this.#listeners.follow(() => [...(this.#watcher.state?.keys() ?? [])], signal);
  }

  /** Ends the stream, the retries and the calls under way, and forgets the tokens. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.close();
    this.#cache.clear();
    this.#client.close();
    await this.#watcher.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof SpiffeError && error.code === 'ERR_NO_IDENTITY';
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
