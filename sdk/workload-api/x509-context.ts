// What one message of the X.509 profile says, read and checked (Workload API 5). Pure.
import type { X509BundlesResponse, X509SVIDResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import { parseX509Bundle, x509BundleSet, type X509Bundle } from '../bundle/x509-bundle.ts';
import { messageOf, SpiffeError } from '../error.ts';
import { trustDomainOf, type TrustDomain } from '../spiffe-id.ts';
import { verifyX509Svid } from '../x509-svid/verify.ts';
import { parseX509Svid, type X509Svid } from '../x509-svid/x509-svid.ts';
import { badMessage, firstOfEachHint, nonEmpty, readBundleMap } from './messages.ts';

/** The complete state that a workload was given: identities, the first of which is the default, and bundles. */
export interface X509Context {
  readonly svids: readonly [X509Svid, ...X509Svid[]];
  readonly bundles: ReadonlyMap<TrustDomain, X509Bundle>;
}

/**
 * Reads a message. Of several SVIDs with one hint the first is kept (WAPI-24). A federated bundle that cannot be read is left
 * out and reported: nobody of that trust domain is trusted, but what it publishes cannot cost this workload its own
 * identity.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API` if a mandatory field is empty or wrong: the message must then be discarded as a
 * whole (WAPI-10).
 */
export function readX509Context(
  message: X509SVIDResponse,
  onSkipped: (reason: string) => void = () => {},
): X509Context {
  const bundles = new Map<TrustDomain, X509Bundle>();
  try {
    for (const [id, der] of Object.entries(message.federatedBundles)) {
      try {
        const bundle = parseX509Bundle(id, der);
        bundles.set(bundle.trustDomain, bundle);
      } catch (error) {
        onSkipped(`a federated bundle was left out: ${messageOf(error)}`);
      }
    }
    const svids = message.svids.map((entry) => {
      const svid = parseX509Svid(entry.x509Svid, entry.x509SvidKey, entry.hint);
      if (svid.id !== entry.spiffeId)
        throw badMessage(`the SVID of ${svid.id} came under the name ${entry.spiffeId}`);
      const bundle = parseX509Bundle(trustDomainOf(svid.id), entry.bundle);
      if (bundle.authorities.length === 0) throw badMessage(`the SVID of ${svid.id} came without a bundle`);
      bundles.set(bundle.trustDomain, bundle);
      return svid;
    });
    return { svids: nonEmpty(firstOfEachHint(svids), 'SVIDs'), bundles };
  } catch (cause) {
    if (cause instanceof SpiffeError && cause.code === 'ERR_WORKLOAD_API') throw cause;
    throw badMessage(messageOf(cause), cause);
  }
}

/**
 * Reads X.509 bundles, the whole state.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API`: the message must be discarded (WAPI-10).
 */
export function readX509Bundles(message: X509BundlesResponse): ReadonlyMap<TrustDomain, X509Bundle> {
  return readBundleMap(message.bundles, parseX509Bundle);
}

/**
 * Never backwards: where a message holds an older SVID of an ID than the one held, the held one stays, as long as it is
 * valid by the bundles of that very message. So an endpoint that was restored from an old state cannot take a workload
 * back, while a withdrawn CA or an expiry always can.
 *
 * @returns The context to use, and the IDs whose older SVIDs were not taken.
 */
export function neverBackwards(
  next: X509Context,
  held: X509Context | undefined,
  now: number,
): { readonly context: X509Context; readonly kept: readonly X509Svid[] } {
  const source = x509BundleSet(next.bundles.values());
  const kept: X509Svid[] = [];
  const isIn = ({ serial }: X509Svid) => next.svids.some((svid) => svid.serial === serial);
  const newest = (svid: X509Svid, index: number): X509Svid => {
    // Of several SVIDs of one name, the first is compared with the first, and so on.
    const isSame = ({ id, hint }: X509Svid) => id === svid.id && hint === svid.hint;
    const before = next.svids.slice(0, index).filter(isSame).length;
    const known = held?.svids.filter(isSame)[before];
    if (known === undefined || isIn(known) || !isOlder(svid, known)) return svid;
    try {
      verifyX509Svid(known.certificates, source, { now });
    } catch {
      return svid;
    }
    kept.push(known);
    return known;
  };
  const svids = nonEmpty(next.svids.map(newest), 'SVIDs');
  return { context: { svids, bundles: next.bundles }, kept };
}

// Issued earlier; or at the same second, which is what an authority's own beginning clamps to, with an earlier end.
function isOlder(svid: X509Svid, known: X509Svid): boolean {
  return (
    svid.notBefore < known.notBefore || (svid.notBefore === known.notBefore && svid.notAfter < known.notAfter)
  );
}
