// The bundle of a federated trust domain, kept fresh by polling its endpoint (Federation 5.2.4 and 6).
import { delay } from '../backoff.ts';
import type { JwtBundle } from '../bundle/jwt-bundle.ts';
import {
  spiffeBundleSet,
  x509BundleOf,
  type SpiffeBundle,
  type SpiffeBundleSource,
} from '../bundle/spiffe-bundle.ts';
import type { WitBundle } from '../bundle/wit-bundle.ts';
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import { chooseBundle } from './choose-bundle.ts';
import { fetchBundle, type FetchBundleOptions } from './fetch-bundle.ts';
import { isSelfServing, type FederationRelationship } from './relationship.ts';
import { nextRefresh, type RefreshBounds } from './schedule.ts';

/** One poll and what came of it, for logs (FED-36). */
export type FederationEvent = {
  readonly trustDomain: TrustDomain;
  readonly url: string;
} & (
  | { readonly kind: 'updated' | 'unchanged'; readonly bundle: SpiffeBundle }
  /** The endpoint served a lower sequence than the stored bundle has: the stored one stays. */
  | { readonly kind: 'kept'; readonly bundle: SpiffeBundle; readonly offered: SpiffeBundle }
  | { readonly kind: 'failed'; readonly error: unknown }
);

/** Options of {@link FederatedBundleSource}. */
export interface FederatedBundleSourceOptions extends Omit<FetchBundleOptions, 'signal'> {
  /**
   * The bundle that was persisted after the last fetch, or with which the relationship begins: for a self-serving
   * `https_spiffe` endpoint it authenticates the first contact, and never again after that (5.2.2.2).
   */
  readonly initial?: SpiffeBundle;
  readonly refresh?: RefreshBounds;
  /** Called after each poll. Persist the bundle of an `updated` event (5.2.4). */
  readonly onEvent?: (event: FederationEvent) => void;
  /** A number in [0, 1): polls come up to a tenth early, so that consumers spread out. Default Math.random. */
  readonly random?: () => number;
  /** Waits the given milliseconds, or until the signal aborts. Default: a timer. */
  readonly delay?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Default: {@link fetchBundle}. */
  readonly fetch?: typeof fetchBundle;
}

const NOTHING: SpiffeBundleSource = spiffeBundleSet([]);

/**
 * A bundle source for one federated trust domain. It begins with `initial`, if there is one, and polls once {@link run} is
 * called; until the first bundle, and after {@link end}, the trust domain is not trusted.
 */
export class FederatedBundleSource implements SpiffeBundleSource {
  readonly relationship: FederationRelationship;
  readonly #options: FederatedBundleSourceOptions;
  readonly #listeners = new Set<() => void>();
  readonly #ended = new AbortController();
  #bundle: SpiffeBundle | undefined;
  #parts: SpiffeBundleSource = NOTHING;

  /**
   * @throws TypeError if `initial` is of another trust domain, or an `https_spiffe` endpoint cannot be authenticated: a
   * self-serving one needs `initial`, another one `endpointBundles` (5.2.2.1).
   */
  constructor(relationship: FederationRelationship, options: FederatedBundleSourceOptions = {}) {
    this.relationship = relationship;
    this.#options = options;
    if (relationship.profile === 'https_spiffe') {
      if (
        isSelfServing(relationship) ? options.initial === undefined : options.endpointBundles === undefined
      ) {
        throw new TypeError(
          'https_spiffe needs the bundle of the trust domain of the endpoint to begin with',
        );
      }
    }
    nextRefresh(undefined, options.refresh);
    if (options.initial !== undefined) this.set(options.initial);
  }

  /** The bundle in effect; undefined before the first fetch and after {@link end}. */
  current(): SpiffeBundle | undefined {
    return this.#bundle;
  }

  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#parts.x509Bundle(trustDomain);
  }

  jwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.#parts.jwtBundle(trustDomain);
  }

  witBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return this.#parts.witBundle(trustDomain);
  }

  /** Calls `listener` after every change, also at the end; the returned function ends that. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Puts a bundle in effect at once, whatever its sequence, until a poll brings another (FED-08).
   *
   * @throws TypeError if it is of another trust domain: bundles of two are never mixed (FED-09).
   */
  set(bundle: SpiffeBundle): void {
    if (bundle.trustDomain !== this.relationship.trustDomain) {
      throw new TypeError(
        `this is the source of ${this.relationship.trustDomain}, not of ${bundle.trustDomain}`,
      );
    }
    this.#put(bundle);
  }

  /** Polls now and then by the hint, until the signal aborts or {@link end}. A failed poll waits for the next (FED-32). */
  async run(signal: AbortSignal): Promise<void> {
    const { delay: wait = delay, random = Math.random, refresh } = this.#options;
    const both = AbortSignal.any([signal, this.#ended.signal]);
    while (!both.aborted) {
      await this.refresh(both);
      if (both.aborted) return;
      await wait(nextRefresh(this.#bundle?.refreshHint, refresh) * (1 - random() / 10), both);
    }
  }

  /** Polls once. What happened goes to `onEvent`; it never throws. */
  async refresh(signal: AbortSignal = this.#ended.signal): Promise<FederationEvent> {
    const { fetch = fetchBundle } = this.#options;
    const { trustDomain, url } = this.relationship;
    let event: FederationEvent;
    try {
      const options = { ...this.#options, endpointBundles: this.#endpointBundles(), signal };
      const offered = await fetch(this.relationship, options);
      event = { trustDomain, url, ...this.#take(offered) };
    } catch (error) {
      event = { trustDomain, url, kind: 'failed', error };
    }
    if (!signal.aborted && !this.#ended.signal.aborted) this.#options.onEvent?.(event);
    return event;
  }

  /** Ends the relationship: no more polls, and the trust domain is trusted no longer (6.3). */
  end(): void {
    this.#ended.abort(new Error('the federation relationship ended'));
    this.#put(undefined);
  }

  #take(offered: SpiffeBundle) {
    if (this.#ended.signal.aborted) throw new Error('the federation relationship ended');
    const choice = chooseBundle(this.#bundle, offered);
    if (choice === 'kept') return { kind: choice, bundle: this.#bundle!, offered } as const;
    if (choice === 'updated') this.#put(offered);
    return { kind: choice, bundle: this.#bundle! } as const;
  }

  // A self-serving endpoint is authenticated by the latest bundle of its own (5.2.2.2).
  #endpointBundles(): X509BundleSource | undefined {
    if (!isSelfServing(this.relationship)) return this.#options.endpointBundles;
    const bundle = this.#bundle === undefined ? undefined : x509BundleOf(this.#bundle);
    return { x509Bundle: (trustDomain) => (trustDomain === bundle?.trustDomain ? bundle : undefined) };
  }

  #put(bundle: SpiffeBundle | undefined): void {
    this.#bundle = bundle;
    this.#parts = bundle === undefined ? NOTHING : spiffeBundleSet([bundle]);
    for (const listener of this.#listeners) listener();
  }
}
