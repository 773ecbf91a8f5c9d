// The agent's memory: entries, their SVIDs, and bundles; and everyone who waits for a change of theirs.
import type { AgentBundles, IssuedX509Svid, WorkloadEntry } from './entry.ts';
import { indexEntries, type EntryIndex } from './matching.ts';
import { sameView, viewOf, type WorkloadView } from './workload-view.ts';

/** What changed. What is left out stays as it is. */
export interface CacheUpdate {
  /** All entries; the SVIDs of those that are gone are forgotten. */
  readonly entries?: ReadonlyMap<string, WorkloadEntry>;
  /** SVIDs that were issued; each replaces the one of its entry. */
  readonly svids?: readonly IssuedX509Svid[];
  readonly bundles?: AgentBundles;
}

/** Options of {@link SvidCache}. */
export interface SvidCacheOptions {
  readonly now?: () => number;
}

const MAX_VIEWS = 4_096;

export class SvidCache {
  readonly #now: () => number;
  readonly #svids = new Map<string, IssuedX509Svid>();
  readonly #waiting = new Set<() => void>();
  readonly #views = new Map<string, WorkloadView>();
  #entries: ReadonlyMap<string, WorkloadEntry> = new Map();
  #index: EntryIndex = indexEntries([]);
  #bundles: AgentBundles | undefined;
  #ready = false;
  #version = 0;

  constructor(options: SvidCacheOptions = {}) {
    this.#now = options.now ?? Date.now;
  }

  /** Whether the entries are known: before, nobody can be told that he has none (WE-12). */
  get ready(): boolean {
    return this.#ready;
  }

  get entries(): ReadonlyMap<string, WorkloadEntry> {
    return this.#entries;
  }

  get svids(): ReadonlyMap<string, IssuedX509Svid> {
    return this.#svids;
  }

  get bundles(): AgentBundles | undefined {
    return this.#bundles;
  }

  /** Takes over a change as a whole and tells those who wait. */
  update(change: CacheUpdate): void {
    if (change.bundles !== undefined) {
      if (this.#bundles !== undefined) this.#hurry(this.#bundles.untainted, change.bundles.untainted);
      this.#bundles = change.bundles;
    }
    if (change.entries !== undefined) {
      this.#entries = change.entries;
      this.#index = indexEntries([...change.entries.values()].filter((entry) => !entry.storeSvid));
      this.#ready = true;
    }
    for (const svid of change.svids ?? []) this.#svids.set(svid.entryId, svid);
    for (const id of this.#svids.keys()) if (!this.#entries.has(id)) this.#svids.delete(id);
    this.#changed();
  }

  /** Forgets every entry and SVID: the server said that this agent may not have them any more. */
  withdraw(): void {
    this.#entries = new Map();
    this.#index = indexEntries([]);
    this.#svids.clear();
    this.#ready = false;
    this.#changed();
  }

  /** Forgets SVIDs that have expired. To be called now and then: expiry makes no noise of its own. */
  expire(): void {
    const now = this.#now();
    let any = false;
    for (const [id, svid] of this.#svids) {
      if (svid.notAfter > now) continue;
      this.#svids.delete(id);
      any = true;
    }
    if (any) this.#changed();
  }

  /** What a workload with these selectors may have now. Workloads with the same selectors share the result. */
  view(selectors: ReadonlySet<string>): WorkloadView {
    const key = [...selectors].sort().join('\n');
    const known = this.#views.get(key);
    const now = this.#now();
    if (known !== undefined && known.validUntil > now) return known;
    const view = viewOf(this.#index.match(selectors), this.#svids, this.#bundles, now);
    if (this.#views.size >= MAX_VIEWS) this.#views.clear();
    this.#views.set(key, view);
    return view;
  }

  /** The view now, and each that differs from the one before, until the signal aborts. */
  async *watch(
    selectors: ReadonlySet<string>,
    signal: AbortSignal,
  ): AsyncGenerator<WorkloadView, void, undefined> {
    let last: WorkloadView | undefined;
    let lastReady = this.#ready;
    while (!signal.aborted) {
      const version = this.#version;
      const view = this.view(selectors);
      if (last === undefined || lastReady !== this.#ready || !sameView(last, view)) {
        last = view;
        lastReady = this.#ready;
        yield view;
      }
      if (version === this.#version) await this.#change(signal);
    }
  }

  // SVIDs of an authority that was tainted or revoked are due at once; and once, lest a server that goes on issuing under
  // it is asked for ever.
  #hurry(before: ReadonlySet<string>, after: ReadonlySet<string>): void {
    for (const [id, svid] of this.#svids) {
      if (before.has(svid.authority) && !after.has(svid.authority))
        this.#svids.set(id, { ...svid, renewAt: 0 });
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #changed(): void {
    this.#version++;
    this.#views.clear();
    for (const wake of this.#waiting) wake();
  }
}
