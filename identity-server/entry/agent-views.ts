// The entries of each agent that asked, kept up with changes: an entry that is written costs as much as it has agents,
// however many entries and agents there are.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AttestedNode, Entry } from '../store/store.ts';
import { isExpired, rootsOf } from './authorized.ts';
import type { EntryIndex } from './entry-index.ts';
import { selectorKey } from './similarity.ts';

interface View {
  readonly node: AttestedNode;
  entries: Map<string, Entry>;
  /** Whether somebody outside has `entries`: they are copied before they change. */
  shared: boolean;
  /** IDs whose children the agent may serve, with how many roots and entries give each. */
  readonly parents: Map<SpiffeId, number>;
  /** Seconds: when the first of the entries expires. */
  validUntil: number;
}

/** What became of the entries of an agent. */
export interface EntryDelta {
  /** More changed than `changed` tells: the entries have to be asked for anew and compared. */
  anew: boolean;
  /** Entries by ID as they are now; undefined: the agent has it no more. */
  readonly changed: Map<string, Entry | undefined>;
}

export class AgentViews {
  readonly #index: EntryIndex;
  #deltas: Map<SpiffeId, EntryDelta> | undefined;
  readonly #views = new Map<SpiffeId, View>();
  readonly #byParent = new Map<SpiffeId, Set<View>>();
  readonly #bySelector = new Map<string, Set<View>>();

  constructor(index: EntryIndex) {
    this.#index = index;
  }

  /** The entries that an agent may serve at a time (seconds). */
  entriesOf(node: AttestedNode, seconds: number): ReadonlyMap<string, Entry> {
    let view = this.#views.get(node.id);
    if (view !== undefined && seconds >= view.validUntil) {
      this.#drop(view);
      view = undefined;
    }
    view ??= this.#make(node, seconds);
    view.shared = true;
    return view.entries;
  }

  /** Until when (seconds) the entries of an agent stand if nothing is written; undefined: nobody asked for them. */
  validUntil(id: SpiffeId): number | undefined {
    return this.#views.get(id)?.validUntil;
  }

  /**
   * Follows a change of an entry that the index has made already. Returns the agents among those who asked whose entries
   * may have changed; what changed goes into `deltas`.
   */
  changed(
    before: Entry | undefined,
    after: Entry | undefined,
    seconds: number,
    deltas?: Map<SpiffeId, EntryDelta>,
  ): SpiffeId[] {
    this.#deltas = deltas;
    try {
      return this.#follow(before, after, seconds);
    } finally {
      this.#deltas = undefined;
    }
  }

  #follow(before: Entry | undefined, after: Entry | undefined, seconds: number): SpiffeId[] {
    const touched = new Set<View>();
    for (const alias of [before, after]) {
      if (alias === undefined || !this.#index.isAlias(alias)) continue;
      for (const view of this.#namedBy(alias)) {
        touched.add(view);
        this.#drop(view);
      }
    }
    if (before !== undefined) {
      for (const view of this.#byParent.get(before.parentId) ?? []) {
        touched.add(view);
        this.#remove(view, before);
      }
    }
    if (after !== undefined) {
      for (const view of this.#byParent.get(after.parentId) ?? []) {
        touched.add(view);
        this.#add(view, after, seconds);
      }
    }
    return [...touched].map(({ node }) => node.id);
  }

  /** Forgets what is known of an agent. */
  drop(id: SpiffeId): void {
    const view = this.#views.get(id);
    if (view !== undefined) this.#drop(view);
  }

  clear(): void {
    for (const group of [this.#views, this.#byParent, this.#bySelector]) group.clear();
  }

  #make(node: AttestedNode, seconds: number): View {
    const { roots, validUntil } = rootsOf(this.#index, node, seconds);
    const view: View = { node, entries: new Map(), shared: false, parents: new Map(), validUntil };
    this.#views.set(node.id, view);
    for (const selector of node.selectors) link(this.#bySelector, selectorKey(selector), view);
    for (const root of roots) this.#open(view, root, seconds);
    return view;
  }

  // One more reason to serve what is below an ID. Chains are walked without recursion, and loops end.
  #open(view: View, id: SpiffeId, seconds: number): void {
    const queue = [id];
    for (let parent = queue.pop(); parent !== undefined; parent = queue.pop()) {
      const count = view.parents.get(parent) ?? 0;
      view.parents.set(parent, count + 1);
      if (count > 0) continue;
      link(this.#byParent, parent, view);
      for (const entry of this.#index.childrenOf(parent)) {
        if (!this.#put(view, entry, seconds)) continue;
        queue.push(entry.spiffeId);
      }
    }
  }

  // Whether it is there now and was not before.
  #put(view: View, entry: Entry, seconds: number): boolean {
    if (isExpired(entry, seconds) || view.entries.has(entry.id)) return false;
    if (entry.expiresAt !== 0) view.validUntil = Math.min(view.validUntil, entry.expiresAt);
    own(view).set(entry.id, entry);
    this.#delta(view)?.changed.set(entry.id, entry);
    return true;
  }

  #add(view: View, entry: Entry, seconds: number): void {
    if (this.#put(view, entry, seconds)) this.#open(view, entry.spiffeId, seconds);
  }

  #remove(view: View, entry: Entry): void {
    const there = view.entries.get(entry.id);
    if (there === undefined) return;
    own(view).delete(entry.id);
    this.#delta(view)?.changed.set(entry.id, undefined);
    const count = view.parents.get(there.spiffeId)!;
    if (count > 1) {
      // A loop of entries may be what keeps it: only looking from the roots tells.
      if (hasSome(this.#index.childrenOf(there.spiffeId))) this.#drop(view);
      else view.parents.set(there.spiffeId, count - 1);
      return;
    }
    if (hasSome(this.#index.childrenOf(there.spiffeId))) {
      this.#drop(view);
      return;
    }
    view.parents.delete(there.spiffeId);
    unlink(this.#byParent, there.spiffeId, view);
  }

  #drop(view: View): void {
    if (this.#views.get(view.node.id) !== view) return;
    this.#views.delete(view.node.id);
    const delta = this.#delta(view);
    if (delta !== undefined) delta.anew = true;
    for (const parent of view.parents.keys()) unlink(this.#byParent, parent, view);
    for (const selector of view.node.selectors) unlink(this.#bySelector, selectorKey(selector), view);
  }

  #delta({ node }: View): EntryDelta | undefined {
    if (this.#deltas === undefined) return undefined;
    const known = this.#deltas.get(node.id);
    if (known !== undefined) return known;
    const delta: EntryDelta = { anew: false, changed: new Map() };
    this.#deltas.set(node.id, delta);
    return delta;
  }

  // Views of the nodes that have all selectors of an alias: few have its rarest.
  #namedBy({ selectors }: Entry): View[] {
    const keys = selectors.map(selectorKey);
    const groups = keys.map((key) => this.#bySelector.get(key));
    const rarest = groups.toSorted((left, right) => (left?.size ?? 0) - (right?.size ?? 0))[0];
    return [...(rarest ?? [])].filter((view) => groups.every((group) => group?.has(view) ?? false));
  }
}

function own(view: View): Map<string, Entry> {
  if (view.shared) {
    view.entries = new Map(view.entries);
    view.shared = false;
  }
  return view.entries;
}

function hasSome(items: Iterable<unknown>): boolean {
  for (const _ of items) return true;
  return false;
}

function link<Key>(groups: Map<Key, Set<View>>, key: Key, view: View): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, new Set([view]));
  else group.add(view);
}

function unlink<Key>(groups: Map<Key, Set<View>>, key: Key, view: View): void {
  const group = groups.get(key);
  group?.delete(view);
  if (group?.size === 0) groups.delete(key);
}
