// Validates JWT-SVIDs (JWT-SVID 4 and 6): the one place that says yes to one.
import type { JwtBundleSource } from '../bundle/jwt-bundle.ts';
import { SpiffeError } from '../error.ts';
import { trustDomainOf } from '../spiffe-id.ts';
import { expectSignedByAuthority } from './authorities.ts';
import { DEFAULT_LEEWAY, expectCurrent } from './claims.ts';
import { JWT_SVID, openJwtSvid, readJwtSvid, type JwtSvid } from './jwt-svid.ts';

/** Options of {@link validateJwtSvid}. */
export interface ValidateJwtSvidOptions {
  /**
   * The name, or names, under which this validator is known. A token is accepted only if its `aud` holds one of them,
   * exactly. There is no way to skip this (JWT-SVID 3.2).
   */
  readonly audience: string | readonly string[];
  /** The time to validate at, in milliseconds since 1970. Default: now. */
  readonly now?: number;
  /** How far clocks may differ, in milliseconds, at most 300,000. Default 60,000. */
  readonly leeway?: number;
}

/**
 * Validates a token that a peer presented, by the keys of the JWT bundle of its subject's own trust domain. The order
 * is: algorithm, header, claims, audience, times, bundle, signature; so the cheap refusals come first.
 *
 * `jti` is not tracked: the same token is accepted any number of times (JWT-SVID 7.1).
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID`, `ERR_SVID_AUDIENCE`, `ERR_SVID_EXPIRED`, `ERR_SVID_NOT_YET_VALID`,
 * `ERR_SVID_NO_BUNDLE` or `ERR_SVID_UNTRUSTED`; TypeError without an audience of one's own.
 */
export function validateJwtSvid(
  token: string,
  bundles: JwtBundleSource,
  options: ValidateJwtSvidOptions,
): JwtSvid {
  const accepted = ownAudiences(options?.audience);
  const opened = openJwtSvid(token);
  const svid = readJwtSvid(opened, '');
  if (!svid.audience.some((value) => accepted.includes(value))) {
    throw new SpiffeError('ERR_SVID_AUDIENCE', `the JWT-SVID of ${svid.id} is meant for another audience`, {
      detail: { id: svid.id },
    });
  }
  expectCurrent(svid, svid.id, options.now ?? Date.now(), options.leeway ?? DEFAULT_LEEWAY);
  const bundle = bundles.jwtBundle(trustDomainOf(svid.id));
  expectSignedByAuthority(opened, JWT_SVID, svid.id, bundle?.jwtAuthorities);
  return svid;
}

function ownAudiences(audience: string | readonly string[] | undefined): readonly string[] {
  const values = typeof audience === 'string' ? [audience] : (audience ?? []);
  if (values.length === 0 || values.some((value) => typeof value !== 'string' || value === '')) {
    throw new TypeError(
      'a validator of JWT-SVIDs needs an audience of its own: without it, it cannot tell whose token it is',
    );
  }
  return values;
}
