// A JWT-SVID and how its form is read (JWT-SVID 2 and 3). What is read here is not verified.
import type { JsonObject } from '../json/parse.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { readSubject, readTimes, type TokenTimes } from './claims.ts';
import { openToken, readClaims, refusal, type OpenedToken, type TokenKind } from './compact.ts';

/** An identity as a bearer token. Times are milliseconds since 1970. */
export interface JwtSvid extends TokenTimes {
  readonly id: SpiffeId;
  /** Never empty. */
  readonly audience: readonly string[];
  /** All claims. Those of a foreign trust domain mean what that trust domain means by them (SPIFFE-ID 4.1). */
  readonly claims: JsonObject;
  /** The token itself: a secret while it is valid. Never log it. */
  readonly token: string;
  /** What the operator calls this identity; empty if nothing. */
  readonly hint: string;
}

/** How JWT-SVIDs name themselves in errors. */
export const JWT_SVID: TokenKind = { name: 'JWT-SVID', code: 'ERR_SVID_NOT_AN_SVID' };

/**
 * Reads a token that this workload was given by the Workload API: form, subject, audience and times. **It verifies no
 * signature**; for a token that a peer presents there is `validateJwtSvid`.
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID`.
 */
export function parseOwnJwtSvid(token: string, hint = ''): JwtSvid {
  return readJwtSvid(openJwtSvid(token), hint);
}

/** Opens a token and judges its header: `alg`, then `typ`, then `kid` (JWT-SVID 2). */
export function openJwtSvid(token: string): OpenedToken {
  const opened = openToken(token, JWT_SVID);
  const { typ, kid } = opened.header;
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE') {
    throw refusal(JWT_SVID, 'its type (typ) is neither JWT nor JOSE');
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid === '')) {
    throw refusal(JWT_SVID, 'its key ID (kid) is empty or no text');
  }
  return opened;
}

/** Reads the claims of an opened token. */
export function readJwtSvid(opened: OpenedToken, hint: string): JwtSvid {
  const claims = readClaims(opened, JWT_SVID);
  const id = readSubject(claims, JWT_SVID);
  return {
    id,
    audience: readAudience(claims),
    ...readTimes(claims, JWT_SVID),
    claims,
    token: opened.token,
    hint,
  };
}

// A string or an array of strings (RFC 7519 4.1.3); at least one is not empty (JWT-SVID 3.2).
function readAudience(claims: JsonObject): readonly string[] {
  const { aud } = claims;
  const values = typeof aud === 'string' ? [aud] : aud;
  if (!Array.isArray(values) || !values.every((value) => typeof value === 'string')) {
    throw refusal(JWT_SVID, 'its audience (aud) is missing or no text');
  }
  if (values.every((value) => value === '')) throw refusal(JWT_SVID, 'its audience (aud) is empty');
  return values;
}
