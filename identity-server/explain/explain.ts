// Judges all entries for one workload on one agent, a piece at a time, and keeps those that are worth telling.
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import { rootsOf } from '../entry/authorized.ts';
import { isBanned } from '../entry/filter.ts';
import type { Registry } from '../entry/registry.ts';
import { selectorKey } from '../entry/similarity.ts';
import type { AttestedNode, Entry, Selector } from '../store/store.ts';
import { distance, judge, type Facts, type Obstacle } from './judge.ts';

/** What is to be explained. */
export interface Question {
  readonly agentId: SpiffeId;
  readonly selectors: readonly Selector[];
  /** Only entries of this ID, however far from matching. */
  readonly spiffeId?: SpiffeId;
  /** How many that nearly match are told. */
  readonly limit: number;
  /** Entries that the caller may know of. Default: all. */
  readonly isVisible?: (entry: Entry) => boolean;
}

/** An entry with what stands in its way. */
export interface Judged {
  readonly entry: Entry;
  readonly obstacles: readonly Obstacle[];
}

export type Standing = 'attested' | 'not-attested' | 'banned' | 'expired';

/** The answer. */
export interface Explanation {
  readonly standing: Standing;
  readonly node: AttestedNode | undefined;
  /** Names of the agent besides its ID. */
  readonly aliases: readonly SpiffeId[];
  readonly matched: readonly Judged[];
  readonly matchedCount: number;
  /** The nearest first. */
  readonly nearly: readonly Judged[];
  readonly nearlyCount: number;
}

/** The most entries that match which are told. */
export const MAX_MATCHED = 200;

// Milliseconds would pass over a hundred thousand entries: streams of others move in between.
const JUDGED_AT_ONCE = 1_000;

export async function explain(
  question: Question,
  registry: Pick<Registry, 'entries' | 'node' | 'authorizedEntries'>,
  now: number,
): Promise<Explanation> {
  const { agentId, spiffeId, limit, isVisible = () => true } = question;
  const seconds = Math.floor(now / 1_000);
  const node = registry.node(agentId);
  const standing = standingOf(node, seconds);
  const facts: Facts = {
    index: registry.entries,
    node,
    isServed: standing === 'attested',
    authorized: registry.authorizedEntries(agentId),
    selectors: new Map(question.selectors.map((selector) => [selectorKey(selector), selector])),
    hasNode: (id) => registry.node(id) !== undefined,
    seconds,
  };
  const matched: Judged[] = [];
  let matchedCount = 0;
  const nearly = new Nearest(limit);
  let judged = 0;
  const candidates = spiffeId === undefined ? registry.entries.all() : registry.entries.granting(spiffeId);
  for (const entry of candidates) {
    if (++judged % JUDGED_AT_ONCE === 0) await yieldToOthers();
    if (!isVisible(entry)) continue;
    const obstacles = judge(entry, facts);
    if (obstacles.length === 0) {
      matchedCount++;
      if (matched.length < MAX_MATCHED) matched.push({ entry, obstacles });
      continue;
    }
    const far = distance(entry, obstacles) ?? (spiffeId === undefined ? undefined : Infinity);
    if (far !== undefined) nearly.add({ entry, obstacles }, far);
  }
  const aliases = node === undefined ? [] : [...rootsOf(registry.entries, node, seconds).roots];
  return {
    standing,
    node,
    aliases: aliases.filter((id) => id !== agentId),
    matched: matched.sort((left, right) => (left.entry.id < right.entry.id ? -1 : 1)),
    matchedCount,
    nearly: nearly.items(),
    nearlyCount: nearly.count,
  };
}

function standingOf(node: AttestedNode | undefined, seconds: number): Standing {
  if (node === undefined) return 'not-attested';
  if (isBanned(node)) return 'banned';
  return Math.max(node.notAfter, node.newNotAfter) < seconds ? 'expired' : 'attested';
}

// The nearest of many, without keeping the many.
class Nearest {
  readonly #limit: number;
  #kept: { readonly judged: Judged; readonly far: number }[] = [];
  count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(judged: Judged, far: number): void {
    this.count++;
    this.#kept.push({ judged, far });
    if (this.#kept.length > this.#limit * 2 + 100) this.#shrink();
  }

  items(): Judged[] {
    this.#shrink();
    return this.#kept.map(({ judged }) => judged);
  }

  #shrink(): void {
    this.#kept.sort(
      (left, right) => left.far - right.far || (left.judged.entry.id < right.judged.entry.id ? -1 : 1),
    );
    this.#kept.length = Math.min(this.#kept.length, this.#limit);
  }
}
