// The view of entries, nodes and bundles that every request reads: in memory, following the store's change log, never
// ahead of it and never out of order. Nothing of it is used once it may be too old.
import type { Logger } from '../../daemon/log.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import { BundleView } from '../federation/bundle-view.ts';
import { StoreUnavailableError } from '../store/errors.ts';
import type { AttestedNode, Change, Entry, Position, Store } from '../store/store.ts';
import { AgentViews, type EntryDelta } from './agent-views.ts';
import { isExpired } from './authorized.ts';
import { EntryIndex } from './entry-index.ts';
import { between, momentOf, type Clocks, type Moment } from './freshness.ts';
import { selectorKey } from './similarity.ts';

const CHANGES_AT_ONCE = 1_000;

/** Options of {@link openRegistry}. Durations are milliseconds. */
export interface RegistryOptions {
  readonly store: Pick<Store, 'snapshot' | 'changesAfter' | 'subscribe'>;
  /** The server's own ID, the parent of node aliases. */
  readonly serverId: SpiffeId;
  /** How long the view serves while the store cannot be read. Default: an hour. */
  readonly maxStaleness?: number;
  /** How often the store is asked, besides when it says that something changed. Default: a second; 0: never. */
  readonly pollInterval?: number;
  readonly log?: Pick<Logger, 'warn' | 'info'>;
  readonly now?: () => number;
  /** A clock that nobody sets. Default: that of the process. */
  readonly steadyNow?: () => number;
}

/** What a listener of {@link Registry.subscribe} hears after the view has moved. */
export interface RegistryUpdate {
  /** Everything was read anew; `changes` and `agents` tell nothing. */
  readonly reset: boolean;
  readonly changes: readonly Change[];
  /** Agents whose entries were asked for before and may have changed. */
  readonly agents: ReadonlySet<SpiffeId>;
  /** What became of the entries of those agents, as far as entries were written. */
  readonly deltas: ReadonlyMap<SpiffeId, EntryDelta>;
}

/** Loads the view and follows the log from then on. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const registry = new Registry(options);
  await registry.catchUp();
  return registry;
}

export class Registry implements Disposable {
  readonly entries: EntryIndex;
  /** Bundles and federation relationships. */
  readonly bundles = new BundleView();
  readonly #nodes = new Map<SpiffeId, AttestedNode>();
  readonly #agents: AgentViews;
  readonly #options: RegistryOptions;
  readonly #clocks: Clocks;
  readonly #maxStaleness: number;
  readonly #listeners = new Set<(update: RegistryUpdate) => void>();
  readonly #stop: () => void;
  #position: Position | undefined;
  #verified: Moment | undefined;
  #cutOff = false;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;

  constructor(options: RegistryOptions) {
    const { pollInterval = 1_000, now = Date.now, steadyNow = () => performance.now() } = options;
    this.entries = new EntryIndex(options.serverId);
    this.#agents = new AgentViews(this.entries);
    this.#options = options;
    this.#clocks = { wall: now, steady: steadyNow };
    this.#maxStaleness = options.maxStaleness ?? 3_600_000;
    // A failed read is repeated at the next turn, and by whoever waits for it.
    const look = () => void this.catchUp().catch(() => {});
    const unsubscribe = options.store.subscribe(look);
    const timer = pollInterval > 0 ? setInterval(look, pollInterval).unref() : undefined;
    this.#stop = () => {
      unsubscribe();
      clearInterval(timer);
    };
  }

  /** Where in the log this view stands. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Milliseconds since the view was last known to be all that the store has. */
  get staleness(): number {
    return this.#verified === undefined ? Infinity : between(this.#verified, momentOf(this.#clocks));
  }

  /** Whether the store could not be read when it was last tried. */
  get isCutOff(): boolean {
    return this.#cutOff;
  }

  /**
   * Refuses to go on with a view that may lack a revocation.
   *
   * @throws StoreUnavailableError
   */
  expectFresh(): void {
    const { staleness } = this;
    if (staleness <= this.#maxStaleness) return;
    throw new StoreUnavailableError(
      `the database has not been reached for ${Math.floor(staleness / 1_000)} s (max_staleness is ` +
        `${Math.floor(this.#maxStaleness / 1_000)} s): a revocation may have been missed`,
    );
  }

  node(id: SpiffeId): AttestedNode | undefined {
    return this.#nodes.get(id);
  }

  nodes(): Iterable<AttestedNode> {
    return this.#nodes.values();
  }

  /**
   * The entries that an agent may serve now. The map does not change later.
   *
   * @throws StoreUnavailableError if they may be too old.
   */
  authorizedEntries(id: SpiffeId): ReadonlyMap<string, Entry> {
    this.expectFresh();
    const node = this.#nodes.get(id);
    return node === undefined ? new Map() : this.#agents.entriesOf(node, this.#seconds());
  }

  /** Until when (seconds) the entries of an agent stand if nothing is written; undefined: nobody asked for them. */
  entriesValidUntil(id: SpiffeId): number | undefined {
    return this.#agents.validUntil(id);
  }

  /** Whether an entry that has not expired grants a SPIFFE ID a role. */
  hasRole(id: SpiffeId, role: 'admin' | 'downstream'): boolean {
    const seconds = this.#seconds();
    for (const entry of this.entries.granting(id)) if (entry[role] && !isExpired(entry, seconds)) return true;
    return false;
  }

  /** Calls back after each step of the view. Returns a function that ends it. */
  subscribe(listener: (update: RegistryUpdate) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when everything that was committed before the call can be seen. Calls that wait share one read. */
  catchUp(): Promise<void> {
    this.#queued ??= this.#running.then(() => {
      this.#queued = undefined;
      return this.#follow();
    });
    this.#running = this.#queued.catch(() => {});
    return this.#queued;
  }

  /**
   * Changes after a position that somebody else holds. Undefined means that it is of another history, in the future or
   * too old: whoever holds it needs everything. This view then stands where the answer ends, or after it.
   */
  async changesSince(position: Position): Promise<readonly Change[] | undefined> {
    // A server that lags must not answer from where the holder has been already.
    await this.catchUp();
    const changes: Change[] = [];
    for (let at = position; ;) {
      const found = await this.#options.store.changesAfter(at, CHANGES_AT_ONCE);
      if (found === undefined) return undefined;
      changes.push(...found.changes);
      at = found.position;
      if (found.changes.length < CHANGES_AT_ONCE) break;
    }
    await this.catchUp();
    return changes;
  }

  async #follow(): Promise<void> {
    try {
      for (let more = true; more;) {
        const asked = momentOf(this.#clocks);
        more = await this.#step();
        if (!more) this.#verified = asked;
      }
    } catch (error) {
      if (!this.#cutOff)
        this.#options.log?.warn({ err: error }, 'the change log cannot be read; it is tried again');
      this.#cutOff = true;
      throw error;
    }
    if (this.#cutOff) this.#options.log?.info('the change log can be read again');
    this.#cutOff = false;
  }

  // Whether there may be more.
  async #step(): Promise<boolean> {
    const { store } = this.#options;
    const found = this.#position && (await store.changesAfter(this.#position, CHANGES_AT_ONCE));
    if (found === undefined) {
      await this.#reload();
      return true;
    }
    const agents = new Set<SpiffeId>();
    const deltas = new Map<SpiffeId, EntryDelta>();
    for (const change of found.changes) this.#apply(change, agents, deltas);
    this.#position = found.position;
    if (found.changes.length > 0) this.#tell({ reset: false, changes: found.changes, agents, deltas });
    return found.changes.length === CHANGES_AT_ONCE;
  }

  async #reload(): Promise<void> {
    const before = this.#position;
    const { position, entries, nodes, bundles, relationships } = await this.#options.store.snapshot();
    if (before !== undefined) {
      this.#options.log?.warn(
        { before, position },
        'the database is not the one that was followed, or its log was compacted: everything was read anew',
      );
    }
    this.entries.clear();
    this.#nodes.clear();
    this.#agents.clear();
    for (const entry of entries) this.entries.put(entry);
    for (const node of nodes) this.#nodes.set(node.id, node);
    this.bundles.reset(bundles, relationships);
    this.#position = position;
    this.#tell({ reset: true, changes: [], agents: new Set(), deltas: new Map() });
  }

  #apply(change: Change, agents: Set<SpiffeId>, deltas: Map<SpiffeId, EntryDelta>): void {
    switch (change.kind) {
      case 'entry': {
        const before = this.entries.get(change.id);
        if (change.value === undefined) this.entries.delete(change.id);
        else this.entries.put(change.value);
        for (const id of this.#agents.changed(before, change.value, this.#seconds(), deltas)) agents.add(id);
        break;
      }
      case 'node':
        if (change.value === undefined) this.#nodes.delete(change.id);
        else this.#putNode(change.value);
        agents.add(change.id);
        if (change.value === undefined) this.#agents.drop(change.id);
        break;
      case 'bundle':
        this.bundles.setBundle(change.id, change.value);
        break;
      case 'relationship':
        this.bundles.setRelationship(change.id, change.value);
        break;
      case 'authority':
        break;
    }
  }

  #putNode(node: AttestedNode): void {
    const before = this.#nodes.get(node.id);
    this.#nodes.set(node.id, node);
    // Most changes are of serials; the entries hang on selectors alone.
    if (before === undefined || keysOf(before) !== keysOf(node)) this.#agents.drop(node.id);
  }

  #tell(update: RegistryUpdate): void {
    for (const listener of this.#listeners) listener(update);
  }

  #seconds(): number {
    return Math.floor(this.#clocks.wall() / 1_000);
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

function keysOf({ selectors }: AttestedNode): string {
  return JSON.stringify(selectors.map(selectorKey));
}
