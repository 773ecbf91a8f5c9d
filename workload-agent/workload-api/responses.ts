// Views as messages of the Workload API. Pure.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  X509BundlesResponseSchema,
  X509SVIDResponseSchema,
} from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { trustDomainId } from '../../sdk/spiffe-id.ts';
import type { WorkloadView } from '../svid-cache/workload-view.ts';

/** The message of FetchX509SVID (WAPI-20 to WAPI-23). The view must have an identity and bundles. */
export function x509SvidResponse(view: WorkloadView): MessageInitShape<typeof X509SVIDResponseSchema> {
  return {
    svids: view.identities.map(({ entry, svid }) => ({
      spiffeId: svid.spiffeId,
      x509Svid: svid.certificates,
      x509SvidKey: svid.privateKey,
      bundle: view.bundles!.own,
      hint: entry.hint,
    })),
    federatedBundles: federatedBundles(view),
  };
}

/** The message of FetchX509Bundles: the own trust domain always (WAPI-28). The view must have bundles. */
export function x509BundlesResponse(view: WorkloadView): MessageInitShape<typeof X509BundlesResponseSchema> {
  const { trustDomain, own } = view.bundles!;
  return { bundles: { ...federatedBundles(view), [trustDomainId(trustDomain)]: own } };
}

// Keyed by the ID of the trust domain, with its scheme: the standard's text and SPIRE agree on that.
function federatedBundles(view: WorkloadView): Record<string, Uint8Array> {
  return Object.fromEntries([...view.federated].map(([name, bundle]) => [trustDomainId(name), bundle]));
}
