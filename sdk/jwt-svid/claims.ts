// The claims that JWT- and WIT-SVIDs share (JWT-SVID 3, WIT-SVID 3, RFC 7519 4.1): subject and times.
import { messageOf, SpiffeError } from '../error.ts';
import type { JsonObject } from '../json/parse.ts';
import { parseSpiffeId, pathOf, type SpiffeId } from '../spiffe-id.ts';
import { refusal, type TokenKind } from './compact.ts';

/** How far clocks may differ, in milliseconds, where nothing else is said (as go-spiffe and SPIRE have it). */
export const DEFAULT_LEEWAY = 60_000;
/** The longest leeway: a few minutes (RFC 7519 4.1.4). */
export const MAX_LEEWAY = 300_000;

/** When a token is valid, in milliseconds since 1970. */
export interface TokenTimes {
  readonly expiresAt: number;
  readonly notBefore?: number;
  readonly issuedAt?: number;
}

/**
 * The subject: the SPIFFE ID of a workload. A trust domain's own ID is refused, as X509-SVID does (J21, W12).
 *
 * @throws SpiffeError with the code of `kind`.
 */
export function readSubject(claims: JsonObject, kind: TokenKind): SpiffeId {
  const { sub } = claims;
  if (typeof sub !== 'string') throw refusal(kind, 'its subject (sub) is missing or no text');
  let id: SpiffeId;
  try {
    id = parseSpiffeId(sub);
  } catch (cause) {
    throw refusal(kind, `its subject is no SPIFFE ID: ${messageOf(cause)}`, cause);
  }
  if (pathOf(id) === '')
    throw refusal(kind, `its subject ${id} has no path: a trust domain cannot be a workload`);
  return id;
}

/**
 * `exp` must be there; `nbf` and `iat` may be. Each is a NumericDate, which may have a fraction (C-06).
 *
 * @throws SpiffeError with the code of `kind`.
 */
export function readTimes(claims: JsonObject, kind: TokenKind): TokenTimes {
  const expiresAt = readTime(claims, 'exp', kind);
  if (expiresAt === undefined) throw refusal(kind, 'its expiry (exp) is missing');
  return { expiresAt, notBefore: readTime(claims, 'nbf', kind), issuedAt: readTime(claims, 'iat', kind) };
}

/**
 * Fails unless `now` lies between `nbf` and `exp`, give or take the leeway. `iat` bounds nothing (WIT-15, J19).
 *
 * @throws SpiffeError `ERR_SVID_EXPIRED` or `ERR_SVID_NOT_YET_VALID`; TypeError if the leeway is
 * negative, or longer than {@link MAX_LEEWAY}.
 */
export function expectCurrent(times: TokenTimes, id: SpiffeId, now: number, leeway: number): void {
  if (!(leeway >= 0 && leeway <= MAX_LEEWAY)) {
    throw new TypeError(`the leeway is a number of milliseconds from 0 to ${MAX_LEEWAY}`);
  }
  // Written so that a time that is no number refuses.
  if (!(now < times.expiresAt + leeway)) {
    throw new SpiffeError('ERR_SVID_EXPIRED', `the token of ${id} expired at ${timeText(times.expiresAt)}`, {
      detail: { id },
    });
  }
  if (times.notBefore !== undefined && !(now >= times.notBefore - leeway)) {
    throw new SpiffeError(
      'ERR_SVID_NOT_YET_VALID',
      `the token of ${id} is valid from ${timeText(times.notBefore)} on: are the clocks right?`,
      { detail: { id } },
    );
  }
}

function readTime(claims: JsonObject, name: string, kind: TokenKind): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw refusal(kind, `its claim ${name} is no number`);
  return value * 1_000;
}

// A claim may name a time that no Date holds.
function timeText(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : `${time / 1_000} seconds after 1970`;
}
