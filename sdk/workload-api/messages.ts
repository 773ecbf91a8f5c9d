// What the messages of all profiles have in common: bundle maps, hints, mandatory fields. Pure.
import { messageOf, SpiffeError } from '../error.ts';
import type { TrustDomain } from '../spiffe-id.ts';

/** The error of a message that must be discarded as a whole (WAPI-10). */
export function badMessage(problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_WORKLOAD_API', `the Workload API sent a bad message: ${problem}`, { cause });
}

/**
 * Reads a map from the ID of a trust domain to its bundle. It is the whole state: what is not in it is withdrawn
 * (WAPI-07, WAPI-08).
 *
 * @throws SpiffeError `ERR_WORKLOAD_API` if it is empty, since the field is mandatory, or holds a bad bundle.
 */
export function readBundleMap<Document, Bundle extends { readonly trustDomain: TrustDomain }>(
  map: Readonly<Record<string, Document>>,
  parse: (trustDomain: string, document: Document) => Bundle,
): ReadonlyMap<TrustDomain, Bundle> {
  const bundles = new Map<TrustDomain, Bundle>();
  for (const [id, document] of Object.entries(map)) {
    let bundle: Bundle;
    try {
      bundle = parse(id, document);
    } catch (cause) {
      throw badMessage(messageOf(cause), cause);
    }
    if (bundles.has(bundle.trustDomain)) throw badMessage(`two bundles for ${bundle.trustDomain}`);
    bundles.set(bundle.trustDomain, bundle);
  }
  if (bundles.size === 0) throw badMessage('it has no bundles');
  return bundles;
}

/** Of several identities with one hint, the first; an empty hint repeats nothing (WAPI-24). */
export function firstOfEachHint<Svid extends { readonly hint: string }>(svids: readonly Svid[]): Svid[] {
  const hints = new Set<string>();
  return svids.filter(({ hint }) => hint === '' || (!hints.has(hint) && hints.add(hint)));
}

/**
 * The list, known to have a first.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API` if it is empty.
 */
export function nonEmpty<T>(items: readonly T[], what: string): readonly [T, ...T[]] {
  const [first, ...others] = items;
  if (first === undefined) throw badMessage(`it has no ${what}`);
  return [first, ...others];
}

/**
 * The default identity (the first, WAPI-80), or the one with a hint.
 *
 * @throws SpiffeError `ERR_NO_IDENTITY` if there is no identity, or none with that hint: another one is never used in its place
 * (WAPI-82).
 */
export function chooseSvid<Svid extends { readonly hint: string; readonly id: string }>(
  svids: readonly Svid[] | undefined,
  hint: string | undefined,
): Svid {
  if (svids === undefined || svids.length === 0) {
    throw new SpiffeError('ERR_NO_IDENTITY', 'the Workload API gives this process no identity');
  }
  if (hint === undefined) return svids[0]!;
  const svid = svids.find((candidate) => candidate.hint === hint);
  if (svid !== undefined) return svid;
  const given = svids.map(({ id, hint }) => (hint === '' ? id : `${id} (hint ${JSON.stringify(hint)})`));
  throw new SpiffeError(
    'ERR_NO_IDENTITY',
    `the Workload API gave no identity with the hint ${JSON.stringify(hint)}; it gave ${given.join(', ')}`,
    { detail: { hint } },
  );
}

/**
 * An identity that is still valid.
 *
 * @throws SpiffeError `ERR_SVID_EXPIRED`: an expired one is never handed out silently.
 */
export function expectFresh<Svid extends { readonly id: string }>(
  svid: Svid,
  expiresAt: number,
  now: number,
): Svid {
  if (now <= expiresAt) return svid;
  throw new SpiffeError(
    'ERR_SVID_EXPIRED',
    `${svid.id} expired at ${new Date(expiresAt).toISOString()} and the Workload API gave no newer one`,
    { detail: { id: svid.id } },
  );
}
