// One sync with the server: bundle, entries, and the SVIDs that are missing or due.
import type { KeyType } from '../../daemon/key-manager/key-manager.ts';
import type { Logger } from '../../daemon/log.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { NodeIdentity } from '../node-attestation/node-identity.ts';
import type { WorkloadEntry } from '../svid-cache/entry.ts';
import type { SvidCache } from '../svid-cache/svid-cache.ts';
import { concatenated, fetchBundle, fetchFederatedBundles } from './fetch-bundles.ts';
import { fetchEntries } from './fetch-entries.ts';
import { fetchSvids } from './fetch-svids.ts';
import { MAX_BATCH, nextBatchSize, nextRenewal, planSvids } from './plan.ts';

/** Options of {@link Synchronizer}. */
export interface SynchronizerOptions {
  readonly trustDomain: TrustDomain;
  readonly identity: NodeIdentity;
  readonly cache: SvidCache;
  readonly keyType: KeyType;
  readonly log: Logger;
  readonly now?: () => number;
  readonly random?: () => number;
}

// An entry that the server refuses an SVID for is asked for again after this long, not in every sync.
const REFUSED_RETRY = 30_000;

export class Synchronizer {
  readonly #options: SynchronizerOptions;
  readonly #now: () => number;
  readonly #refused = new Map<string, { readonly revision: bigint; readonly until: number }>();
  #batchSize = MAX_BATCH;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Brings the cache to the server's state. */
  async sync(signal: AbortSignal): Promise<void> {
    const { identity, cache, trustDomain, log } = this.#options;
    const client = identity.connection.client();
    const own = await fetchBundle(client, trustDomain, signal);
    await identity.trust(own);
    const entries = await fetchEntries({ client, trustDomain, known: cache.entries, log, signal });
    const partners = new Set([...entries.values()].flatMap((entry) => entry.federatesWith));
    const federated = await fetchFederatedBundles(client, [...partners].sort(), signal);
    cache.update({
      entries,
      bundles: { trustDomain, own: concatenated(own.authorities), untainted: own.untainted, federated },
    });
    await this.#issue(client, signal);
  }

  /** When an SVID is due next. */
  nextRenewal(): number {
    return nextRenewal(this.#options.cache.svids);
  }

  /** Issues what is due without looking for new entries. */
  async renew(signal: AbortSignal): Promise<void> {
    await this.#issue(this.#options.identity.connection.client(), signal);
  }

  async #issue(client: GrpcClient, signal: AbortSignal): Promise<void> {
    const { cache, keyType, log, random = Math.random } = this.#options;
    const due = planSvids(cache.entries.values(), cache.svids, this.#now()).filter(
      (entry) => !this.#isRefused(entry),
    );
    for (let start = 0; start < due.length;) {
      const batch = due.slice(start, start + this.#batchSize);
      const options = { client, keyType, signal, now: this.#now, random };
      const { svids, failures } = await fetchSvids(batch, options).catch((error: unknown) => {
        this.#batchSize = nextBatchSize(this.#batchSize, false);
        throw error;
      });
      this.#batchSize = nextBatchSize(this.#batchSize, true);
      start += batch.length;
      cache.update({ svids });
      for (const { spiffeId, entryId, serial, notAfter } of svids) {
        this.#refused.delete(entryId);
        log.debug(
          { id: spiffeId, entry: entryId, serial, expires: new Date(notAfter).toISOString() },
          'fetched an SVID',
        );
      }
      for (const { entry, reason } of failures) {
        this.#refused.set(entry.id, { revision: entry.revision, until: this.#now() + REFUSED_RETRY });
        log.warn({ id: entry.spiffeId, entry: entry.id, reason }, 'the server issued no SVID for an entry');
      }
    }
  }

  #isRefused(entry: WorkloadEntry): boolean {
    const refusal = this.#refused.get(entry.id);
    if (refusal === undefined) return false;
    if (refusal.revision === entry.revision && refusal.until > this.#now()) return true;
    this.#refused.delete(entry.id);
    return false;
  }
}
