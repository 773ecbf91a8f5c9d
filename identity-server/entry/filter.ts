// The filters of listings: how a set that something has compares with the set that was asked for.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AttestedNode, Entry, Selector } from '../store/store.ts';
import { selectorKey } from './similarity.ts';

/** How two sets must relate. Subset: what there is lies in what was asked for; superset: the other way round. */
export type SetMatch = 'exact' | 'subset' | 'superset' | 'any';

/** A wanted set with the way to compare. */
export interface SetFilter {
  readonly values: ReadonlySet<string>;
  readonly match: SetMatch;
}

/** What ListEntries can ask for; undefined asks for nothing. */
export interface EntryFilter {
  readonly spiffeId?: SpiffeId;
  readonly parentId?: SpiffeId;
  readonly selectors?: SetFilter;
  readonly federatesWith?: SetFilter;
  readonly hint?: string;
  readonly downstream?: boolean;
}

/** What ListAgents can ask for. */
export interface NodeFilter {
  readonly attestationType?: string;
  readonly selectors?: SetFilter;
  readonly banned?: boolean;
  readonly canReattest?: boolean;
  /** Seconds. */
  readonly expiresBefore?: number;
}

export function matchesEntry(entry: Entry, filter: EntryFilter): boolean {
  return (
    agrees(entry.spiffeId, filter.spiffeId) &&
    agrees(entry.parentId, filter.parentId) &&
    agrees(entry.hint, filter.hint) &&
    agrees(entry.downstream, filter.downstream) &&
    matchesSet(keysOf(entry.selectors), filter.selectors) &&
    matchesSet(new Set(entry.federatesWith), filter.federatesWith)
  );
}

export function matchesNode(node: AttestedNode, filter: NodeFilter): boolean {
  return (
    agrees(node.attestationType, filter.attestationType) &&
    agrees(isBanned(node), filter.banned) &&
    agrees(node.canReattest, filter.canReattest) &&
    (filter.expiresBefore === undefined || node.notAfter < filter.expiresBefore) &&
    matchesSet(keysOf(node.selectors), filter.selectors)
  );
}

/** Whether a node was banned: its serials are blanked, so that none can match. */
export function isBanned(node: AttestedNode): boolean {
  return node.serial === '';
}

function agrees<T>(actual: T, wanted: T | undefined): boolean {
  return wanted === undefined || actual === wanted;
}

function keysOf(selectors: readonly Selector[]): Set<string> {
  return new Set(selectors.map(selectorKey));
}

function matchesSet(actual: ReadonlySet<string>, filter: SetFilter | undefined): boolean {
  if (filter === undefined) return true;
  const { values, match } = filter;
  switch (match) {
    case 'exact':
      return actual.size === values.size && isSubset(actual, values);
    case 'subset':
      return actual.size > 0 && isSubset(actual, values);
    case 'superset':
      return isSubset(values, actual);
    case 'any':
      return [...values].some((value) => actual.has(value));
  }
}

function isSubset(inner: ReadonlySet<string>, outer: ReadonlySet<string>): boolean {
  for (const value of inner) if (!outer.has(value)) return false;
  return true;
}
