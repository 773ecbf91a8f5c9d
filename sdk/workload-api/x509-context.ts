// What one FetchX509SVID message says, read and checked (Workload API 5.2). Pure.
import type { X509SVIDResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import { parseX509Bundle, type X509Bundle } from '../bundle/x509-bundle.ts';
import { SpiffeError } from '../error.ts';
import { trustDomainOf, type TrustDomain } from '../spiffe-id.ts';
import { parseX509Svid, type X509Svid } from '../x509-svid/x509-svid.ts';

/** The complete state that a workload was given: identities, the first of which is the default, and bundles. */
export interface X509Context {
  readonly svids: readonly [X509Svid, ...X509Svid[]];
  readonly bundles: ReadonlyMap<TrustDomain, X509Bundle>;
}

/**
 * Reads a message. Of several SVIDs with one hint the first is kept (WAPI-24).
 *
 * @throws SpiffeError `ERR_WORKLOAD_API` if a mandatory field is empty or wrong: the message must then be discarded as a
 * whole (WAPI-10).
 */
export function readX509Context(message: X509SVIDResponse): X509Context {
  const bundles = new Map<TrustDomain, X509Bundle>();
  const svids: X509Svid[] = [];
  const hints = new Set<string>();
  try {
    for (const [id, der] of Object.entries(message.federatedBundles)) {
      const bundle = parseX509Bundle(id, der);
      bundles.set(bundle.trustDomain, bundle);
    }
    for (const entry of message.svids) {
      const svid = parseX509Svid(entry.x509Svid, entry.x509SvidKey, entry.hint);
      if (svid.id !== entry.spiffeId) {
        throw new SpiffeError(
          'ERR_WORKLOAD_API',
          `the SVID of ${svid.id} came under the name ${entry.spiffeId}`,
        );
      }
      const bundle = parseX509Bundle(trustDomainOf(svid.id), entry.bundle);
      if (bundle.authorities.length === 0) {
        throw new SpiffeError('ERR_WORKLOAD_API', `the SVID of ${svid.id} came without a bundle`);
      }
      bundles.set(bundle.trustDomain, bundle);
      if (svid.hint !== '' && hints.has(svid.hint)) continue;
      hints.add(svid.hint);
      svids.push(svid);
    }
  } catch (cause) {
    if (cause instanceof SpiffeError && cause.code === 'ERR_WORKLOAD_API') throw cause;
    throw new SpiffeError(
      'ERR_WORKLOAD_API',
      `the Workload API sent a bad message: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  const [first, ...others] = svids;
  if (first === undefined)
    throw new SpiffeError('ERR_WORKLOAD_API', 'the Workload API sent a message without SVIDs');
  return { svids: [first, ...others], bundles };
}
