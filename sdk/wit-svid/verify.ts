// Accepts a WIT-SVID that came with a request, or refuses it: token, then proof. A WIT-SVID without proof is never
// accepted (WIT-SVID 5), so there is no function that takes the token alone.
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import type { WitBundleSource } from '../bundle/wit-bundle.ts';
import { SpiffeError } from '../error.ts';
import { expectSignedByAuthority } from '../jwt-svid/authorities.ts';
import { DEFAULT_LEEWAY, expectCurrent } from '../jwt-svid/claims.ts';
import { refusal } from '../jwt-svid/compact.ts';
import { trustDomainOf } from '../spiffe-id.ts';
import { expectWitEnabled, WIT_FIELD, WIT_SVID } from './experimental.ts';
import { FieldMap, proofError, type ProofOfPossession, type WitRequest } from './proof-of-possession.ts';
import { openWitSvid, readWitSvid, type WitClaims } from './wit-svid.ts';

/** The longest leeway: a couple of minutes (WIT-SVID 3.3). */
const MAX_LEEWAY = 120_000;

/** Options of {@link verifyWitRequest}. */
export interface VerifyWitOptions {
  readonly experimental: Experimental;
  /** The kinds of proof that are accepted, at least one. */
  readonly proofs: readonly [ProofOfPossession, ...ProofOfPossession[]];
  /** The time to verify at, in milliseconds since 1970. Default: now. */
  readonly now?: number;
  /** How far clocks may differ, in milliseconds, at most 120,000. Default 60,000. */
  readonly leeway?: number;
  /** The longest lifetime of a token, from `nbf` (or now) to `exp`, in milliseconds. Default: no limit. */
  readonly maxLifetime?: number;
}

/**
 * Verifies the WIT-SVID of a request by the WIT bundle of its subject's own trust domain, and the proof that the request
 * was made by the holder of its key. Of several kinds of proof, each that is present must hold, and one must be.
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID`, `ERR_SVID_EXPIRED`, `ERR_SVID_NOT_YET_VALID`, `ERR_SVID_NO_BUNDLE`,
 * `ERR_SVID_UNTRUSTED` or `ERR_SVID_PROOF`; TypeError without the experimental switch or without a kind of proof.
 */
export function verifyWitRequest(
  request: WitRequest,
  bundles: WitBundleSource,
  options: VerifyWitOptions,
): WitClaims {
  expectWitEnabled(options);
  const { proofs, now = Date.now(), leeway = DEFAULT_LEEWAY } = options;
  if (!Array.isArray(proofs) || proofs.length === 0) {
    throw new TypeError('name a kind of proof: a WIT-SVID without proof of possession is never accepted');
  }
  if (leeway > MAX_LEEWAY)
    throw new TypeError(`the leeway is at most ${MAX_LEEWAY} milliseconds (WIT-SVID 3.3)`);
  const fields = new FieldMap(request.headers);
  const wit = verifyToken(fields, bundles, now, leeway, options.maxLifetime);
  const present = proofs.filter((proof) => proof.isPresent(fields));
  if (present.length === 0) {
    const names = proofs.map(({ name }) => name).join(' or ');
    throw proofError(`the WIT-SVID of ${wit.id} came without one (${names})`);
  }
  for (const proof of present) proof.verify(request, fields, wit, now);
  return wit;
}

function verifyToken(
  fields: FieldMap,
  bundles: WitBundleSource,
  now: number,
  leeway: number,
  maxLifetime: number | undefined,
): WitClaims {
  const token = fields.only(WIT_FIELD);
  if (token === undefined) throw refusal(WIT_SVID, `the request has not exactly one field ${WIT_FIELD}`);
  // A WIT-SVID is no bearer token (WIT-SVID 5): one who sends it as such has shown it to whatever logs credentials.
  if (fields.all('authorization').some((value) => value.includes(token))) {
    throw refusal(WIT_SVID, 'it came in the authorization field, as if it were a bearer token');
  }
  const opened = openWitSvid(token);
  const wit = readWitSvid(opened);
  expectCurrent(wit, wit.id, now, leeway);
  if (maxLifetime !== undefined && wit.expiresAt - (wit.notBefore ?? now) > maxLifetime) {
    throw new SpiffeError(
      'ERR_SVID_NOT_AN_SVID',
      `the WIT-SVID of ${wit.id} is valid for longer than allowed`,
      {
        detail: { id: wit.id },
      },
    );
  }
  expectSignedByAuthority(opened, WIT_SVID, wit.id, bundles.witBundle(trustDomainOf(wit.id))?.witAuthorities);
  return wit;
}
