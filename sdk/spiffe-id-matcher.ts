// Matchers of SPIFFE IDs: the questions that policy, configuration and authorizers ask of an ID. Pure.
import { isMemberOf, parseSpiffeId, parseTrustDomain, type SpiffeId } from './spiffe-id.ts';

/** Whether an ID is one that is meant. */
export type SpiffeIdMatcher = (id: SpiffeId) => boolean;

/** Matches every ID. */
export function matchAny(): SpiffeIdMatcher {
  return () => true;
}

/**
 * Matches one ID, exactly (SPIFFE-ID 2.4: paths are case-sensitive, and a prefix is another ID).
 *
 * @throws SpiffeError `ERR_SPIFFE_ID` if `id` is none.
 */
export function matchId(id: string): SpiffeIdMatcher {
  const expected = parseSpiffeId(id);
  return (candidate) => candidate === expected;
}

/**
 * Matches each of the listed IDs. An empty list matches none.
 *
 * @throws SpiffeError `ERR_SPIFFE_ID` if one of them is none; TypeError for a string in place of a list.
 */
export function matchOneOf(ids: Iterable<string>): SpiffeIdMatcher {
  if (typeof ids === 'string') throw new TypeError('matchOneOf takes a list of SPIFFE IDs');
  const expected = new Set<string>(Array.from(ids, (id) => parseSpiffeId(id)));
  return (candidate) => expected.has(candidate);
}

/**
 * Matches every ID of a trust domain, its own included.
 *
 * @throws SpiffeError `ERR_TRUST_DOMAIN` if `trustDomain` is none.
 */
export function matchMemberOf(trustDomain: string): SpiffeIdMatcher {
  const name = parseTrustDomain(trustDomain);
  return (candidate) => isMemberOf(candidate, name);
}
