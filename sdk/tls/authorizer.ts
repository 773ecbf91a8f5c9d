// Who may be at the other end. A valid SVID says who a peer is; an authorizer says whether that is who was meant.
import { SpiffeError } from '../error.ts';
import { isMemberOf, parseSpiffeId, parseTrustDomain, type SpiffeId } from '../spiffe-id.ts';
import type { VerifiedX509Svid } from '../x509-svid/verify.ts';

/**
 * Decides about a peer whose SVID is already verified. Returns to accept, throws to refuse: a SpiffeError
 * `ERR_SVID_UNEXPECTED_ID`. Must be synchronous.
 */
export type Authorizer = (id: SpiffeId, peer: VerifiedX509Svid) => void;

/** An authorizer that looks at the ID alone, and so serves JWT-SVIDs too. */
export type IdAuthorizer = (id: SpiffeId) => void;

/**
 * Accepts one ID.
 *
 * @throws SpiffeError `ERR_SPIFFE_ID` if `id` is none.
 */
export function authorizeId(id: string): IdAuthorizer {
  return authorizeOneOf([id]);
}

/**
 * Accepts the listed IDs. An empty list accepts nobody.
 *
 * @throws SpiffeError `ERR_SPIFFE_ID` if one of them is none.
 */
export function authorizeOneOf(ids: Iterable<string>): IdAuthorizer {
  if (typeof ids === 'string') throw new TypeError('authorizeOneOf takes a list of SPIFFE IDs');
  const accepted = new Set(Array.from(ids, parseSpiffeId));
  return (id) => {
    if (!accepted.has(id)) throw unexpected(id, [...accepted].join(', ') || 'nobody');
  };
}

/**
 * Accepts every workload of a trust domain.
 *
 * @throws SpiffeError `ERR_TRUST_DOMAIN` if `trustDomain` is none.
 */
export function authorizeMemberOf(trustDomain: string): IdAuthorizer {
  const name = parseTrustDomain(trustDomain);
  return (id) => {
    if (!isMemberOf(id, name)) throw unexpected(id, `members of ${name}`);
  };
}

/** Accepts every peer whose SVID is valid, of any trust domain with a bundle: for servers that authorize by request. */
export function authorizeAny(): IdAuthorizer {
  return () => undefined;
}

/**
 * Fails if an authorizer returned anything. An async one would refuse when it is too late, and one that returns false
 * would be taken to accept: neither must go unnoticed.
 *
 * @throws TypeError
 */
export function expectNoVerdict(verdict: unknown): void {
  if (verdict === undefined) return;
  // What an async one says is of no interest any more, and must not become an unhandled rejection.
  if (verdict instanceof Promise) verdict.catch(() => undefined);
  throw new TypeError('an authorizer must throw to refuse, return nothing and be synchronous');
}

function unexpected(id: SpiffeId, accepted: string): SpiffeError {
  return new SpiffeError('ERR_SVID_UNEXPECTED_ID', `the peer is ${id}; accepted here: ${accepted}`, {
    detail: { id },
  });
}
