// Which entries are a workload's: those whose every selector holds for it. Pure.
import type { WorkloadEntry } from './entry.ts';

/** Entries, ready to be matched. */
export interface EntryIndex {
  /** The entries of a workload with these selectors, lowest id first (WAPI-80: a stable, deliberate order). */
  match(selectors: ReadonlySet<string>): WorkloadEntry[];
}

/** Indexes entries by one of their selectors: an entry can only match a workload that has it. */
export function indexEntries(entries: Iterable<WorkloadEntry>): EntryIndex {
  const bySelector = new Map<string, WorkloadEntry[]>();
  for (const entry of entries) {
    const [key] = entry.selectors;
    // An entry without selectors would be everybody's: it is nobody's.
    if (key === undefined) continue;
    const same = bySelector.get(key);
    if (same === undefined) bySelector.set(key, [entry]);
    else same.push(entry);
  }
  return {
    match(selectors) {
      const matches: WorkloadEntry[] = [];
      for (const selector of selectors) {
        for (const entry of bySelector.get(selector) ?? []) {
          if (entry.selectors.every((wanted) => selectors.has(wanted))) matches.push(entry);
        }
      }
      return matches.sort(byId);
    },
  };
}

/**
 * Leaves out entries whose hint another one has (WAPI-23): of those with the same hint the oldest stays, and of equally
 * old ones that with the lowest id. Entries without a hint all stay.
 */
export function withUniqueHints(entries: readonly WorkloadEntry[]): WorkloadEntry[] {
  const keeper = new Map<string, WorkloadEntry>();
  for (const entry of entries) {
    const rival = keeper.get(entry.hint);
    if (rival === undefined || isOlder(entry, rival)) keeper.set(entry.hint, entry);
  }
  return entries.filter((entry) => entry.hint === '' || keeper.get(entry.hint) === entry);
}

function isOlder(entry: WorkloadEntry, rival: WorkloadEntry): boolean {
  if (entry.createdAt !== rival.createdAt) return entry.createdAt < rival.createdAt;
  return byId(entry, rival) < 0;
}

function byId(left: WorkloadEntry, right: WorkloadEntry): number {
  return left.id < right.id ? -1 : Number(left.id > right.id);
}
