// The SPIFFE bundle map (Trust Domain and Bundle 5, appendix B): the bundles of several trust domains in one document.
import { messageOf, SpiffeError } from '../error.ts';
import { isJsonObject, parseJsonObject } from '../json/parse.ts';
import { stringifyJson } from '../json/stringify.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts';
import { readBundle, type SkippedElement } from './parse-bundle.ts';
import { bundleDocument, expectPublishable } from './serialize-bundle.ts';
import type { Experimental, SpiffeBundle } from './spiffe-bundle.ts';

/** The largest bundle map, in bytes. */
export const MAX_BUNDLE_MAP_BYTES = 32 << 20;

/** Options of {@link parseBundleMap}. */
export interface ParseBundleMapOptions {
  /** Called for each element of an inner bundle that is ignored. */
  readonly onSkipped?: (skipped: SkippedElement & { readonly trustDomain: TrustDomain }) => void;
  readonly experimental?: Experimental;
}

/**
 * Reads a bundle map: the whole state, so a trust domain that is not in it is gone. One broken inner bundle refuses the
 * map, so that nothing is half taken over. Inner refresh hints are dropped: consumers must not schedule by them (5.1.1).
 *
 * @throws SpiffeError `ERR_BUNDLE` if `trust_domains` is missing, names are no trust domain names, repeated, or an
 * inner bundle is broken.
 */
export function parseBundleMap(
  document: string | Uint8Array,
  options: ParseBundleMapOptions = {},
): ReadonlyMap<TrustDomain, SpiffeBundle> {
  const bundles = new Map<TrustDomain, SpiffeBundle>();
  let name = '';
  try {
    const { trust_domains: entries } = parseJsonObject(document, {
      integers: 'exact',
      maxBytes: MAX_BUNDLE_MAP_BYTES,
    });
    if (!isJsonObject(entries)) throw new SpiffeError('ERR_BUNDLE', 'trust_domains is missing or no object');
    for (const [key, value] of Object.entries(entries)) {
      name = ` (${key.slice(0, 80)})`;
      const trustDomain = parseName(key);
      if (!isJsonObject(value)) throw new SpiffeError('ERR_BUNDLE', 'the bundle is no object');
      const onSkipped = (skipped: SkippedElement) => options.onSkipped?.({ ...skipped, trustDomain });
      const bundle = readBundle(trustDomain, value, { onSkipped, experimental: options.experimental });
      bundles.set(trustDomain, { ...bundle, refreshHint: undefined });
    }
  } catch (cause) {
    throw new SpiffeError('ERR_BUNDLE', `bundle map${name}: ${messageOf(cause)}`, { cause });
  }
  return bundles;
}

/**
 * Writes a bundle map, trust domains in the order given, inner refresh hints left out (5.1.1).
 *
 * @throws SpiffeError `ERR_BUNDLE` for what must not be published, or a trust domain that comes twice.
 */
export function serializeBundleMap(bundles: Iterable<SpiffeBundle>): string {
  const documents = new Map<string, ReturnType<typeof bundleDocument>>();
  for (const bundle of bundles) {
    if (documents.has(bundle.trustDomain)) {
      throw new SpiffeError(
        'ERR_BUNDLE',
        `two bundles for ${bundle.trustDomain}: a map holds one a trust domain`,
      );
    }
    expectPublishable(bundle);
    documents.set(bundle.trustDomain, bundleDocument({ ...bundle, refreshHint: undefined }));
  }
  return stringifyJson({ trust_domains: Object.fromEntries(documents) });
}

// Names, not IDs: the maps of the Workload API are keyed by ID, this one is not.
function parseName(key: string): TrustDomain {
  if (key.startsWith('spiffe://')) {
    throw new SpiffeError(
      'ERR_TRUST_DOMAIN',
      'a bundle map is keyed by trust domain names, not by SPIFFE IDs',
    );
  }
  return parseTrustDomain(key);
}
