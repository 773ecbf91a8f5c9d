// Entries in memory, found by ID, parent, SPIFFE ID and, for node aliases, by selector. One change costs the same
// whatever the number of entries.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { Entry, Selector } from '../store/store.ts';
import { selectorKey } from './similarity.ts';

type Group = Map<string, Entry>;

export class EntryIndex {
  readonly #byId = new Map<string, Entry>();
  readonly #byParent = new Map<SpiffeId, Group>();
  readonly #bySpiffeId = new Map<SpiffeId, Group>();
  /** Aliases under their first selector: an alias matches only a node that has all of them, so that one, too. */
  readonly #aliases = new Map<string, Group>();
  readonly #aliasParent: SpiffeId;

  /** `aliasParent` is the server's own ID: entries below it give nodes other names. */
  constructor(aliasParent: SpiffeId) {
    this.#aliasParent = aliasParent;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Entry> {
    return this.#byId.values();
  }

  /** Whether an entry gives nodes another name. */
  isAlias(entry: Entry): boolean {
    return entry.parentId === this.#aliasParent;
  }

  /** Entries of a parent. */
  childrenOf(parent: SpiffeId): Iterable<Entry> {
    return this.#byParent.get(parent)?.values() ?? [];
  }

  /** Entries that grant a SPIFFE ID. */
  granting(id: SpiffeId): Iterable<Entry> {
    return this.#bySpiffeId.get(id)?.values() ?? [];
  }

  /** Node aliases whose selectors a node with the given ones has all of. */
  aliasesOf(selectors: readonly Selector[]): Entry[] {
    const held = new Set(selectors.map(selectorKey));
    const found: Entry[] = [];
    for (const key of held) {
      for (const alias of this.#aliases.get(key)?.values() ?? []) {
        if (alias.selectors.every((selector) => held.has(selectorKey(selector)))) found.push(alias);
      }
    }
    return found;
  }

  /** Puts an entry in the place of the one with its ID. */
  put(entry: Entry): void {
    const before = this.#byId.get(entry.id);
    if (before !== undefined) this.#unlink(before);
    this.#byId.set(entry.id, entry);
    add(this.#byParent, entry.parentId, entry);
    add(this.#bySpiffeId, entry.spiffeId, entry);
    if (this.isAlias(entry)) add(this.#aliases, aliasKeyOf(entry), entry);
  }

  delete(id: string): void {
    const before = this.#byId.get(id);
    if (before === undefined) return;
    this.#byId.delete(id);
    this.#unlink(before);
  }

  clear(): void {
    for (const group of [this.#byId, this.#byParent, this.#bySpiffeId, this.#aliases]) group.clear();
  }

  #unlink(entry: Entry): void {
    remove(this.#byParent, entry.parentId, entry.id);
    remove(this.#bySpiffeId, entry.spiffeId, entry.id);
    if (this.isAlias(entry)) remove(this.#aliases, aliasKeyOf(entry), entry.id);
  }
}

function aliasKeyOf(entry: Entry): string {
  const first = entry.selectors[0];
  return first === undefined ? '' : selectorKey(first);
}

function add<Key>(groups: Map<Key, Group>, key: Key, entry: Entry): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, new Map([[entry.id, entry]]));
  else group.set(entry.id, entry);
}

function remove<Key>(groups: Map<Key, Group>, key: Key, id: string): void {
  const group = groups.get(key);
  group?.delete(id);
  if (group?.size === 0) groups.delete(key);
}
