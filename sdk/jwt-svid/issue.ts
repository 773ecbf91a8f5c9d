// Issues JWT-SVIDs (JWT-SVID 2 and 3).
import { SpiffeError } from '../error.ts';
import type { Writable } from '../json/stringify.ts';
import { pathOf, type SpiffeId } from '../spiffe-id.ts';
import { compactSigner, type JwsSigner } from './signer.ts';

/** What goes into one JWT-SVID. Times are milliseconds since 1970; tokens hold whole seconds. */
export interface JwtSvidRequest {
  readonly id: SpiffeId;
  /** At least one, none empty. One that names a single service is best (JWT-SVID 3.2). */
  readonly audience: readonly string[];
  /** Rounded down. */
  readonly expiresAt: number;
  /** `iat`. Default: now. */
  readonly issuedAt?: number;
  /** `jti`. Default: left out; validators need not track it. */
  readonly tokenId?: string;
  /** Further claims, with names that collide with nothing (JWT-SVID 3.4). */
  readonly claims?: { readonly [name: string]: Writable };
}

/** Claims that only the issuer sets. */
const RESERVED = ['sub', 'aud', 'exp', 'iat', 'nbf', 'jti'];

/**
 * A function that issues JWT-SVIDs of one authority.
 *
 * The function throws SpiffeError `ERR_SPIFFE_ID` for an ID without a path, `ERR_SVID_AUDIENCE` for an empty audience;
 * TypeError if `claims` holds one that the issuer sets, or the times are no times; and whatever the signer throws.
 *
 * @throws TypeError without a key ID: the bundle must have one for every key (JWT-SVID 5).
 */
export function createJwtSvidIssuer(signer: JwsSigner): (request: JwtSvidRequest) => Promise<string> {
  if (signer.keyId === '') throw new TypeError('the signer of JWT-SVIDs needs a key ID');
  const sign = compactSigner(signer, 'JWT');
  return async ({ id, audience, expiresAt, issuedAt = Date.now(), tokenId, claims = {} }) => {
    if (pathOf(id) === '') {
      throw new SpiffeError(
        'ERR_SPIFFE_ID',
        `${id} has no path: an SVID is for a workload, not a trust domain`,
      );
    }
    if (audience.length === 0 || audience.includes('')) {
      throw new SpiffeError('ERR_SVID_AUDIENCE', 'a JWT-SVID needs an audience, and no empty one');
    }
    if (!Number.isFinite(expiresAt) || !Number.isFinite(issuedAt)) {
      throw new TypeError('times are milliseconds since 1970');
    }
    const reserved = RESERVED.find((name) => Object.hasOwn(claims, name));
    if (reserved !== undefined) throw new TypeError(`the claim ${reserved} is set by the issuer`);
    return sign({
      ...claims,
      sub: id,
      aud: audience,
      exp: Math.floor(expiresAt / 1_000),
      iat: Math.floor(issuedAt / 1_000),
      jti: tokenId,
    });
  };
}
