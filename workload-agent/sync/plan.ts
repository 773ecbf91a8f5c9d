// What a sync has to fetch. Pure: the clock comes from outside.
import type { IssuedX509Svid, WorkloadEntry } from '../svid-cache/entry.ts';

/** How the server names the state of an entry. */
export interface EntryRevision {
  readonly id: string;
  readonly revision: bigint;
  /** Tells an entry from an earlier one of the same id, whose revisions began at 0 as well. */
  readonly createdAt: bigint;
}

/** What becomes of the entries that are known, by the server's list of revisions. */
export interface EntryPlan {
  readonly kept: ReadonlyMap<string, WorkloadEntry>;
  /** Ids to fetch, sorted. */
  readonly wanted: readonly string[];
}

export function planEntries(
  known: ReadonlyMap<string, WorkloadEntry>,
  revisions: readonly EntryRevision[],
): EntryPlan {
  const kept = new Map<string, WorkloadEntry>();
  const wanted = new Set<string>();
  for (const { id, revision, createdAt } of revisions) {
    const entry = known.get(id);
    if (entry !== undefined && entry.revision === revision && entry.createdAt === createdAt)
      kept.set(id, entry);
    else wanted.add(id);
  }
  return { kept, wanted: [...wanted].sort() };
}

/** Entries that need an SVID now, the most urgent first: those without one, then those that expire soonest. */
export function planSvids(
  entries: Iterable<WorkloadEntry>,
  svids: ReadonlyMap<string, IssuedX509Svid>,
  now: number,
): WorkloadEntry[] {
  const due: { entry: WorkloadEntry; urgency: number }[] = [];
  for (const entry of entries) {
    if (entry.storeSvid) continue;
    const svid = svids.get(entry.id);
    if (svid === undefined || !isFor(svid, entry)) due.push({ entry, urgency: 0 });
    else if (svid.renewAt <= now) due.push({ entry, urgency: svid.notAfter });
  }
  return due.sort((left, right) => left.urgency - right.urgency).map(({ entry }) => entry);
}

/** When the next SVID has to be renewed; Infinity if there is none. */
export function nextRenewal(svids: ReadonlyMap<string, IssuedX509Svid>): number {
  let next = Infinity;
  for (const { renewAt } of svids.values()) next = Math.min(next, renewAt);
  return next;
}

/** The size of CSR batches: halved by a failure, doubled by a success. */
export function nextBatchSize(size: number, succeeded: boolean): number {
  return succeeded ? Math.min(MAX_BATCH, size * 2) : Math.max(1, Math.floor(size / 2));
}

/** The largest batch of CSRs. */
export const MAX_BATCH = 500;

function isFor(svid: IssuedX509Svid, entry: WorkloadEntry): boolean {
  return svid.revision === entry.revision && svid.createdAt === entry.createdAt;
}
