// Follows the server's stream of changes where it offers one (sigil.sync.v1); SPIRE's servers do not, and are polled.
import { status } from '@grpc/grpc-js';
import { Sync } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { createWaiter, type Waiter } from './push-waiter.ts';
import type { Logger } from '../../daemon/log.ts';
import { x509BundleOf } from './fetch-bundles.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { denialOf } from '../node-attestation/denial.ts';
import type { NodeIdentity } from '../node-attestation/node-identity.ts';
import { RPC_TIMEOUT } from '../node-attestation/server-connection.ts';
import type { SvidCache } from '../svid-cache/svid-cache.ts';
import { concatenated } from './fetch-bundles.ts';
import { PushState } from './push-state.ts';

/** Options of {@link PushFollower}. */
export interface PushFollowerOptions {
  readonly trustDomain: TrustDomain;
  readonly identity: Pick<NodeIdentity, 'connection' | 'trust'>;
  readonly cache: SvidCache;
  readonly log: Logger;
  /** Milliseconds until the first update must have come. Default 15,000. */
  readonly patience?: number;
}

interface Stream {
  readonly client: GrpcClient;
  readonly controller: AbortController;
  /** Settles with the first update, or with the error that came before it. */
  readonly first: Waiter;
  error: unknown;
}

export class PushFollower implements Disposable {
  readonly #options: PushFollowerOptions;
  readonly #state: PushState;
  #stream: Stream | undefined;
  #unsupportedOn: GrpcClient | undefined;
  #version = 0;
  #broke = false;
  #wake: () => void = () => {};

  constructor(options: PushFollowerOptions) {
    const { trustDomain, log } = options;
    this.#options = options;
    this.#state = new PushState({
      trustDomain,
      onUnreadable: (entry, reason) => log.warn({ entry, reason }, 'left out an entry'),
    });
  }

  /** Changes with each update, and when the stream ends. */
  get version(): number {
    return this.#version;
  }

  /** Whether the last failure ended a stream that had been live: then every agent of the server has lost its own. */
  get broke(): boolean {
    return this.#broke;
  }

  /** Who is denied, as the server said last. */
  get denials(): PushState['denials'] {
    return this.#state.denials;
  }

  /** Calls `wake` after each update and when the stream ends: the loop may be asleep. */
  onChange(wake: () => void): void {
    this.#wake = wake;
  }

  /**
   * Sees to it that the stream is open and its first update was taken over. False: the server offers none.
   *
   * @throws the error with which the stream ended.
   */
  async follow(signal: AbortSignal): Promise<boolean> {
    const client = this.#options.identity.connection.client();
    if (this.#unsupportedOn === client) return false;
    // The connection is made anew with each SVID of the agent: the stream moves over, from where it stands.
    if (this.#stream !== undefined && this.#stream.client !== client) this.#close();
    this.#stream ??= this.#open(client, signal);
    const stream = this.#stream;
    this.#broke = stream.error !== undefined && stream.first.isSettled;
    try {
      await stream.first.promise;
      if (stream.error !== undefined) throw stream.error;
      return true;
    } catch (error) {
      this.#close();
      if ((error as { code?: unknown }).code === status.UNIMPLEMENTED) {
        this.#unsupportedOn = client;
        this.#state.forget();
        return false;
      }
      // What a ban or an eviction took from the cache must be told anew.
      if (denialOf(error) !== undefined) this.#state.forget();
      throw error;
    }
  }

  #open(client: GrpcClient, signal: AbortSignal): Stream {
    const { patience = RPC_TIMEOUT } = this.#options;
    const controller = new AbortController();
    const first = createWaiter(patience, 'the server did not tell its state in time');
    const stream: Stream = { client, controller, first, error: undefined };
    void this.#run(stream, AbortSignal.any([signal, controller.signal])).catch((error: unknown) => {
      stream.error = error;
      first.reject(error);
      if (this.#stream !== stream) return;
      this.#version++;
      this.#wake();
    });
    return stream;
  }

  async #run({ client, first }: Stream, signal: AbortSignal): Promise<never> {
    this.#state.begin();
    const request = { position: this.#state.position };
    for await (const message of client.serverStream(Sync.method.watch, request, { signal })) {
      if (signal.aborted) break;
      if (!this.#state.take(message)) continue;
      await this.#takeOver();
      first.resolve();
      this.#version++;
      this.#wake();
    }
    throw new Error('the server ended its stream of changes');
  }

  async #takeOver(): Promise<void> {
    const { trustDomain, identity, cache } = this.#options;
    const { entries, bundles } = this.#state;
    const own = bundles.get(trustDomain);
    const bundle = own && x509BundleOf(own, trustDomain);
    // An agent must never forget whom it trusts.
    if (bundle === undefined || bundle.authorities.length === 0) {
      throw new Error('the server told an empty trust bundle');
    }
    await identity.trust(bundle);
    const federated = new Map<TrustDomain, Uint8Array>();
    for (const name of new Set([...entries.values()].flatMap(({ federatesWith }) => federatesWith))) {
      const partner = bundles.get(name);
      const authorities = partner === undefined ? [] : x509BundleOf(partner, name).authorities;
      if (authorities.length > 0) federated.set(name, concatenated(authorities));
    }
    cache.update({
      entries,
      bundles: { trustDomain, own: concatenated(bundle.authorities), untainted: bundle.untainted, federated },
    });
  }

  #close(): void {
    this.#stream?.controller.abort();
    this.#stream = undefined;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}
