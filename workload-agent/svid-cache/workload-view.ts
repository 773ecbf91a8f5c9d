// What one workload may have, at one moment. Pure.
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { AgentBundles, IssuedX509Svid, WorkloadEntry } from './entry.ts';
import { withUniqueHints } from './matching.ts';

/** An identity with a valid SVID. */
export interface WorkloadIdentity {
  readonly entry: WorkloadEntry;
  readonly svid: IssuedX509Svid;
}

/** The complete state for one set of selectors (WAPI-04). */
export interface WorkloadView {
  /** How many entries match, with an SVID or without. */
  readonly entitled: number;
  /** Those with a valid SVID; the first is the default identity. */
  readonly identities: readonly WorkloadIdentity[];
  readonly bundles: AgentBundles | undefined;
  /** The bundles that its entries federate with and that are known. */
  readonly federated: ReadonlyMap<TrustDomain, Uint8Array>;
  /** When the first of these SVIDs expires, in milliseconds since 1970. */
  readonly validUntil: number;
}

/** Composes the view of the entries that match a workload. */
export function viewOf(
  matches: readonly WorkloadEntry[],
  svids: ReadonlyMap<string, IssuedX509Svid>,
  bundles: AgentBundles | undefined,
  now: number,
): WorkloadView {
  const entries = withUniqueHints(matches);
  const identities = entries.flatMap((entry) => {
    const svid = svids.get(entry.id);
    // An SVID of before its entry changed names still counts; one of another name never does.
    if (svid === undefined || svid.notAfter <= now || svid.spiffeId !== entry.spiffeId) return [];
    return [{ entry, svid }];
  });
  const federated = new Map<TrustDomain, Uint8Array>();
  for (const trustDomain of entries.flatMap((entry) => entry.federatesWith)) {
    const bundle = bundles?.federated.get(trustDomain);
    if (bundle !== undefined) federated.set(trustDomain, bundle);
  }
  const validUntil = Math.min(Infinity, ...identities.map(({ svid }) => svid.notAfter));
  return { entitled: entries.length, identities, bundles, federated, validUntil };
}

/**
 * Whether two views say the same, so that nothing need be sent (WAPI-06). An entry whose SVID is still to come says
 * nothing yet.
 */
export function sameView(left: WorkloadView, right: WorkloadView): boolean {
  return (
    (left.entitled === 0) === (right.entitled === 0) &&
    left.identities.length === right.identities.length &&
    left.identities.every(({ entry, svid }, index) => {
      const other = right.identities[index]!;
      return entry.hint === other.entry.hint && svid.certificates === other.svid.certificates;
    }) &&
    sameBundles(left, right)
  );
}

/** Whether two views have the same bundles. */
export function sameBundles(left: WorkloadView, right: WorkloadView): boolean {
  return (
    sameBytes(left.bundles?.own, right.bundles?.own) &&
    left.federated.size === right.federated.size &&
    [...left.federated].every(([name, bundle]) => sameBytes(bundle, right.federated.get(name)))
  );
}

function sameBytes(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  if (left === right) return true;
  if (left === undefined || right === undefined || left.length !== right.length) return false;
  return left.every((byte, index) => byte === right[index]);
}
