// Whether a limited administrator may have an entry as it is to be: the ways in which one entry can reach further than
// its own ID. Pure but for the view that it is given.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { Entry } from '../store/store.ts';
import type { Scope } from './scope.ts';

/** What is known of IDs. */
export interface Reach {
  /** Whether an ID is that of an administrator or of a server below this one. */
  isPrivileged(id: SpiffeId): boolean;
  /** Entries of a parent. */
  childrenOf(id: SpiffeId): Iterable<Pick<Entry, 'spiffeId' | 'parentId'>>;
}

type Judged = Pick<Entry, 'spiffeId' | 'parentId' | 'admin' | 'downstream' | 'storeSvid' | 'dnsNames'>;

/** Why an entry may not be so; undefined: it may. */
export function refusalOf(entry: Judged, scope: Scope, reach: Reach): string | undefined {
  if (!scope.coversParent(entry.parentId)) return `the parent ID ${entry.parentId} is outside of your scope`;
  if (entry.admin) return 'only administrators without limits make administrators';
  if (entry.downstream) return 'only administrators without limits make downstream servers';
  if (entry.storeSvid) return 'store_svid writes to places outside of your scope';
  const dnsName = entry.dnsNames.find((name) => !scope.coversDnsName(name));
  if (dnsName !== undefined) return `the DNS name ${dnsName} is outside of your scope`;
  return identityRefusalOf(entry.spiffeId, scope, reach) ?? reachRefusalOf(entry.spiffeId, scope, reach);
}

/** Why an ID may not be granted, in whatever form. */
export function identityRefusalOf(id: SpiffeId, scope: Scope, reach: Reach): string | undefined {
  if (!scope.coversId(id)) return `the SPIFFE ID ${id} is outside of your scope`;
  if (reach.isPrivileged(id))
    return `the SPIFFE ID ${id} has a role that only administrators without limits grant`;
  return undefined;
}

/** Why whoever is granted an ID would get more by it: entries below it that are not in the scope, however deep. */
export function reachRefusalOf(id: SpiffeId, scope: Scope, reach: Reach): string | undefined {
  const seen = new Set([id]);
  for (const parent of seen) {
    for (const child of reach.childrenOf(parent)) {
      if (!scope.coversId(child.spiffeId)) return `below ${id} there are entries outside of your scope`;
      seen.add(child.spiffeId);
    }
  }
  return undefined;
}
