// The view of entries and nodes that every request reads: in memory, following the store's change log, never ahead of
// it and never out of order.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AttestedNode, Change, Entry, Position, Store } from '../store/store.ts';
import { BundleView } from '../federation/bundle-view.ts';
import { authorizedEntries, isExpired, type AuthorizedEntries } from './authorized.ts';
import { EntryIndex } from './entry-index.ts';

const CHANGES_AT_ONCE = 1_000;

/** Options of {@link openRegistry}. */
export interface RegistryOptions {
  readonly store: Pick<Store, 'snapshot' | 'changesAfter' | 'subscribe'>;
  /** The server's own ID, the parent of node aliases. */
  readonly serverId: SpiffeId;
  readonly now?: () => number;
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
  readonly #authorized = new Map<SpiffeId, AuthorizedEntries>();
  readonly #store: RegistryOptions['store'];
  readonly #now: () => number;
  readonly #unsubscribe: () => void;
  #position: Position | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RegistryOptions) {
    this.entries = new EntryIndex(options.serverId);
    this.#store = options.store;
    this.#now = options.now ?? Date.now;
    // A failed read is repeated at the next commit, and by whoever waits for it.
    this.#unsubscribe = options.store.subscribe(() => void this.catchUp().catch(() => {}));
  }

  /** Where in the log this view stands. */
  get position(): Position | undefined {
    return this.#position;
  }

  node(id: SpiffeId): AttestedNode | undefined {
    return this.#nodes.get(id);
  }

  nodes(): Iterable<AttestedNode> {
    return this.#nodes.values();
  }

  /** The entries that an agent may serve now. */
  authorizedEntries(id: SpiffeId): ReadonlyMap<string, Entry> {
    const seconds = Math.floor(this.#now() / 1_000);
    const node = this.#nodes.get(id);
    if (node === undefined) return new Map();
    let authorized = this.#authorized.get(id);
    if (authorized === undefined || seconds >= authorized.validUntil) {
      authorized = authorizedEntries(this.entries, node, seconds);
      this.#authorized.set(id, authorized);
    }
    return authorized.entries;
  }

  /** Whether an entry that has not expired grants a SPIFFE ID a role. */
  hasRole(id: SpiffeId, role: 'admin' | 'downstream'): boolean {
    const seconds = Math.floor(this.#now() / 1_000);
    for (const entry of this.entries.granting(id)) if (entry[role] && !isExpired(entry, seconds)) return true;
    return false;
  }

  /** Resolves when everything that was committed before the call can be seen. */
  catchUp(): Promise<void> {
    const run = this.#running.then(() => this.#follow());
    this.#running = run.catch(() => {});
    return run;
  }

  async #follow(): Promise<void> {
    for (;;) {
      const found = this.#position && (await this.#store.changesAfter(this.#position, CHANGES_AT_ONCE));
      if (found === undefined) {
        await this.#reload();
        continue;
      }
      for (const change of found.changes) this.#apply(change);
      if (found.changes.length > 0) this.#authorized.clear();
      this.#position = found.position;
      if (found.changes.length < CHANGES_AT_ONCE) return;
    }
  }

  async #reload(): Promise<void> {
    const { position, entries, nodes, bundles, relationships } = await this.#store.snapshot();
    this.entries.clear();
    this.#nodes.clear();
    this.#authorized.clear();
    for (const entry of entries) this.entries.put(entry);
    for (const node of nodes) this.#nodes.set(node.id, node);
    this.bundles.reset(bundles, relationships);
    this.#position = position;
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case 'entry':
        if (change.value === undefined) this.entries.delete(change.id);
        else this.entries.put(change.value);
        break;
      case 'node':
        if (change.value === undefined) this.#nodes.delete(change.id);
        else this.#nodes.set(change.id, change.value);
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

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
