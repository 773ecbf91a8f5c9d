// Admits callers by a JWT-SVID in the Authorization field (JWT-SVID 5.1), for paths on which TLS ends before us.
import type { MiddlewareHandler } from 'hono';
import type { SpiffeId } from '../spiffe-id.ts';
import { expectNoVerdict } from '../tls/authorizer.ts';

/** What {@link bearerJwtSvid} adds to `c.var`. */
export interface BearerVariables<Svid> {
  /** Who calls. */
  readonly spiffeId: SpiffeId;
  /** What `validate` gave. */
  readonly jwtSvid: Svid;
}

/** Options of {@link bearerJwtSvid}. */
export interface BearerOptions<Svid extends { readonly id: SpiffeId }> {
  /**
   * Validates a token for our audience, and throws to refuse it:
   * `(token) => validateJwtSvid(token, bundles, { audience: 'spiffe://example.org/orders' })`.
   */
  readonly validate: (token: string) => Svid | Promise<Svid>;
  /**
   * Who may call what comes after; throws to refuse and returns nothing, or the answer is 500. There is no default: a
   * valid token says who calls, not whether they may.
   */
  readonly authorize: (id: SpiffeId) => void;
}

// RFC 9110 11.1: the scheme is case-insensitive. RFC 6750 2.1: one token, of these characters.
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/**
 * Middleware that admits requests with a valid JWT-SVID and gives handlers `c.var.spiffeId`. Without a token, or with one
 * that `validate` refuses, the answer is 401 with a challenge (RFC 6750 3); where `authorize` refuses, 403. Why stays here.
 */
export function bearerJwtSvid<Svid extends { readonly id: SpiffeId }>(
  options: BearerOptions<Svid>,
): MiddlewareHandler<{ Variables: BearerVariables<Svid> }> {
  const { validate, authorize } = options;
  if (typeof validate !== 'function' || typeof authorize !== 'function')
    throw new TypeError('bearerJwtSvid needs validate and authorize');
  return async function bearerJwtSvid(context, next) {
    // Two fields arrive joined by a comma, which no token holds: neither can be said to be the right one.
    const token = BEARER.exec(context.req.header('authorization') ?? '')?.[1];
    if (token === undefined) return context.text('Unauthorized', 401, { 'WWW-Authenticate': 'Bearer' });
    let svid: Svid;
    try {
      svid = await validate(token);
    } catch {
      return context.text('Unauthorized', 401, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    }
    let verdict: unknown;
    try {
      verdict = authorize(svid.id);
    } catch {
      return context.text('Forbidden', 403);
    }
    expectNoVerdict(verdict);
    context.set('spiffeId', svid.id);
    context.set('jwtSvid', svid);
    await next();
  };
}
