// Why a workload gets an entry, or does not: every obstacle by name, with what is missing. Pure.
import { isMemberOf, pathOf, trustDomainOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { isExpired } from '../entry/authorized.ts';
import type { EntryIndex } from '../entry/entry-index.ts';
import { selectorKey } from '../entry/similarity.ts';
import type { AttestedNode, Entry, Selector } from '../store/store.ts';

/** What stands in the way. */
export type Obstacle =
  | { readonly kind: 'agent-not-served' }
  | {
      readonly kind: 'missing-selectors';
      readonly missing: readonly Selector[];
      readonly present: readonly Selector[];
    }
  | { readonly kind: 'expired'; readonly at: number }
  | { readonly kind: 'is-alias' }
  | { readonly kind: 'parent-is-other-agent'; readonly id: SpiffeId }
  | {
      readonly kind: 'alias-missing-selectors';
      readonly id: SpiffeId;
      readonly entryId: string;
      readonly missing: readonly Selector[];
      readonly present: readonly Selector[];
    }
  | { readonly kind: 'parent-expired'; readonly id: SpiffeId; readonly entryId: string; readonly at: number }
  | { readonly kind: 'parent-not-authorized'; readonly id: SpiffeId; readonly entryId: string }
  | { readonly kind: 'parent-unknown'; readonly id: SpiffeId };

/** What an entry is judged by. */
export interface Facts {
  readonly index: EntryIndex;
  /** Undefined: it has not attested. */
  readonly node: AttestedNode | undefined;
  readonly isServed: boolean;
  readonly authorized: ReadonlyMap<string, Entry>;
  /** Of the workload, by their keys. */
  readonly selectors: ReadonlyMap<string, Selector>;
  readonly hasNode: (id: SpiffeId) => boolean;
  /** The time, in seconds. */
  readonly seconds: number;
}

/** Everything that stands between a workload and an entry; nothing: it gets it. */
export function judge(entry: Entry, facts: Facts): Obstacle[] {
  const obstacles: Obstacle[] = [];
  if (facts.index.isAlias(entry)) obstacles.push({ kind: 'is-alias' });
  else if (!facts.authorized.has(entry.id)) {
    const obstacle = parentObstacle(entry, facts);
    if (obstacle !== undefined) obstacles.push(obstacle);
  }
  if (!facts.isServed) obstacles.push({ kind: 'agent-not-served' });
  if (isExpired(entry, facts.seconds)) obstacles.push({ kind: 'expired', at: entry.expiresAt });
  const missing = entry.selectors.filter((selector) => !facts.selectors.has(selectorKey(selector)));
  if (missing.length > 0) {
    obstacles.push({
      kind: 'missing-selectors',
      missing,
      present: inPlaceOf(missing, [...facts.selectors.values()]),
    });
  }
  return obstacles;
}

/**
 * How far an entry is from matching: the more it has in common with the workload, the nearer. Undefined: so far that
 * telling it would help nobody.
 */
export function distance(entry: Entry, obstacles: readonly Obstacle[]): number | undefined {
  let far = 0;
  for (const obstacle of obstacles) {
    if (obstacle.kind === 'is-alias') return undefined;
    if (obstacle.kind !== 'missing-selectors') {
      far += obstacle.kind === 'parent-is-other-agent' || obstacle.kind === 'parent-unknown' ? 3 : 1;
      continue;
    }
    const { missing, present } = obstacle;
    // Nothing in common, and nothing alike: another workload's entry, unless it is this agent's own.
    const isStranger = missing.length === entry.selectors.length && present.length === 0;
    if (isStranger && obstacles.length > 1) return undefined;
    far += missing.length * 2 - Math.min(present.length, missing.length);
  }
  return far;
}

// Of an entry that the agent may not serve: what is wrong with its parent.
function parentObstacle(entry: Entry, { index, node, hasNode, seconds }: Facts): Obstacle | undefined {
  const id = entry.parentId;
  if (id === node?.id) return undefined;
  const granting = [...index.granting(id)];
  const aliases = granting.filter((grant) => index.isAlias(grant));
  const held = new Map((node?.selectors ?? []).map((selector) => [selectorKey(selector), selector]));
  for (const grant of granting) {
    if (isExpired(grant, seconds))
      return { kind: 'parent-expired', id, entryId: grant.id, at: grant.expiresAt };
  }
  const nearest = aliases
    .map((alias) => ({
      alias,
      missing: alias.selectors.filter((selector) => !held.has(selectorKey(selector))),
    }))
    .sort((left, right) => left.missing.length - right.missing.length)[0];
  if (nearest !== undefined && nearest.missing.length > 0) {
    const { alias, missing } = nearest;
    const present = inPlaceOf(missing, [...held.values()]);
    return { kind: 'alias-missing-selectors', id, entryId: alias.id, missing, present };
  }
  if (nearest !== undefined) return undefined;
  if (hasNode(id) || isAgentPath(id)) return { kind: 'parent-is-other-agent', id };
  const [grant] = granting;
  if (grant !== undefined) return { kind: 'parent-not-authorized', id, entryId: grant.id };
  return { kind: 'parent-unknown', id };
}

function isAgentPath(id: SpiffeId): boolean {
  return isMemberOf(id, trustDomainOf(id)) && pathOf(id).startsWith('/spire/agent/');
}

// Selectors of the same kind as those that are missing: `unix:uid:1001` where `unix:uid:1000` is wanted.
function inPlaceOf(missing: readonly Selector[], there: readonly Selector[]): Selector[] {
  const kinds = new Set(missing.map(kindOf));
  return there.filter((selector) => kinds.has(kindOf(selector)));
}

function kindOf({ type, value }: Selector): string {
  const colon = value.indexOf(':');
  return `${type}:${colon === -1 ? '' : value.slice(0, colon)}`;
}
