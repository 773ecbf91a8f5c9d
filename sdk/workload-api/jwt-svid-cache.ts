// JWT-SVIDs by what they were asked for, renewed before they run out. It holds no clock and no connection of its own.
import type { JwtSvid } from '../jwt-svid/jwt-svid.ts';

/** How many questions are remembered; the one that was asked longest ago goes first. */
export const MAX_CACHED_QUERIES = 1024;
// Renewed in the second half of its life; and never handed out with less than this left, since it has to travel.
const MIN_LIFE_LEFT = 5_000;

type Svids = readonly [JwtSvid, ...JwtSvid[]];

interface Entry {
  svids: Svids;
  /** When they were fetched, in milliseconds since 1970. */
  fetchedAt: number;
  renewal: Promise<void> | undefined;
}

/** A cache in front of `fetch`. */
export class JwtSvidCache {
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Map<string, Promise<Svids>>();
  readonly #now: () => number;
  readonly #onRenewalFailed: (key: string, error: unknown) => void;
  #generation = 0;

  /** @param onRenewalFailed Hears of renewals that failed while the old token is still good. */
  constructor(now: () => number, onRenewalFailed: (key: string, error: unknown) => void) {
    this.#now = now;
    this.#onRenewalFailed = onRenewalFailed;
  }

  /**
   * What is known for `key`, if it is still good, and otherwise what `fetch` gives. In the second half of its life a token
   * is renewed behind the caller's back; concurrent questions share one fetch.
   *
   * @throws What `fetch` throws when nothing known is good.
   */
  async get(key: string, fetch: () => Promise<Svids>): Promise<Svids> {
    const entry = this.#entries.get(key);
    const now = this.#now();
    if (entry === undefined || endOf(entry.svids) - now < MIN_LIFE_LEFT) return this.#fetch(key, fetch);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (now > (entry.fetchedAt + endOf(entry.svids)) / 2) {
      entry.renewal ??= this.#fetch(key, fetch)
        .then(
          () => {},
          (error: unknown) => this.#onRenewalFailed(key, error),
        )
        .finally(() => (entry.renewal = undefined));
    }
    return entry.svids;
  }

  /** Forgets one question. */
  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Forgets everything, also what is being fetched. */
  clear(): void {
    this.#generation++;
    this.#entries.clear();
    this.#pending.clear();
  }

  #fetch(key: string, fetch: () => Promise<Svids>): Promise<Svids> {
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    const generation = this.#generation;
    const fetched = fetch()
      .then((svids) => (generation === this.#generation ? this.#keep(key, svids) : svids))
      .finally(() => {
        if (this.#pending.get(key) === fetched) this.#pending.delete(key);
      });
    this.#pending.set(key, fetched);
    return fetched;
  }

  // Never backwards: tokens that end before the ones in use are not taken.
  #keep(key: string, svids: Svids): Svids {
    const known = this.#entries.get(key);
    if (known !== undefined && isSameIdentities(known.svids, svids) && endOf(svids) < endOf(known.svids)) {
      return known.svids;
    }
    this.#entries.delete(key);
    this.#entries.set(key, { svids, fetchedAt: this.#now(), renewal: undefined });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_CACHED_QUERIES) this.#entries.delete(oldest!);
    return svids;
  }
}

function endOf(svids: Svids): number {
  return Math.min(...svids.map(({ expiresAt }) => expiresAt));
}

function isSameIdentities(left: Svids, right: Svids): boolean {
  return (
    left.length === right.length &&
    left.every(({ id, hint }, at) => right[at]!.id === id && right[at]!.hint === hint)
  );
}
