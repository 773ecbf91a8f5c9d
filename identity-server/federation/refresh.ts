// Fetches the bundle of a relationship now, and keeps it unless it is older than the one that is known.
import { chooseBundle } from '../../sdk/federation/choose-bundle.ts';
import { fetchBundle } from '../../sdk/federation/fetch-bundle.ts';
import type { FederationRelationship } from '../../sdk/federation/relationship.ts';
import type { SpiffeBundle } from '../../sdk/bundle/spiffe-bundle.ts';
import type { Bundle, BundleKey, Relationship, Store } from '../store/store.ts';
import { spiffeBundleOf, type BundleView } from './bundle-view.ts';

/** Options of {@link refreshBundle}. */
export interface RefreshOptions {
  readonly store: Pick<Store, 'updateBundle'>;
  readonly bundles: BundleView;
  readonly now: () => number;
  readonly signal?: AbortSignal;
  /** For `https_web`: the trusted CAs, PEM. Default: the runtime's list. */
  readonly webAuthorities?: readonly string[];
}

/**
 * Fetches and stores.
 *
 * @throws SpiffeError if the endpoint cannot be reached, authenticated or read.
 */
export async function refreshBundle(relationship: Relationship, options: RefreshOptions): Promise<void> {
  const { store, bundles, now, signal, webAuthorities } = options;
  const fetched = await fetchBundle(sdkRelationship(relationship), {
    endpointBundles: bundles,
    webAuthorities,
    signal,
    now,
  });
  await store.updateBundle(relationship.trustDomain, (before) =>
    before !== undefined && chooseBundle(spiffeBundleOf(before), fetched) !== 'updated'
      ? undefined
      : bundleFrom(fetched),
  );
}

function sdkRelationship({
  trustDomain,
  bundleEndpointUrl: url,
  endpointSpiffeId,
}: Relationship): FederationRelationship {
  return endpointSpiffeId === undefined
    ? { trustDomain, url, profile: 'https_web' }
    : { trustDomain, url, profile: 'https_spiffe', endpointId: endpointSpiffeId };
}

// The document says nothing of when keys end, nor of which are tainted.
function bundleFrom(bundle: SpiffeBundle): Bundle {
  const keys = (authorities: SpiffeBundle['jwtAuthorities']): BundleKey[] =>
    [...authorities].map(([id, key]) => ({
      id,
      publicKey: key.export({ type: 'spki', format: 'der' }),
      expiresAt: 0,
      tainted: false,
    }));
  return {
    trustDomain: bundle.trustDomain,
    x509Authorities: bundle.x509Authorities.map(({ der }) => ({ certificate: der, tainted: false })),
    jwtAuthorities: keys(bundle.jwtAuthorities),
    witAuthorities: keys(bundle.witAuthorities),
    refreshHint: Math.max(0, bundle.refreshHint ?? 0),
    sequence: bundle.sequence ?? 0n,
  };
}
