// How a JWT-SVID travels: `authorization: Bearer ...`, in HTTP and in gRPC metadata (JWT-SVID 5.1, RFC 6750 2.1).
import type { JwtSvid } from './jwt-svid.ts';

/** The field that carries a JWT-SVID; lower case, as HTTP/2 and gRPC metadata have it. */
export const AUTHORIZATION = 'authorization';

/**
 * The value of the authorization field for a request to `url`.
 *
 * @throws TypeError if `url` is not https: whoever reads a bearer token can use it (JWT-SVID 7.2).
 */
export function authorizationOf(svid: Pick<JwtSvid, 'token'>, url: string): string {
  if (!/^https:\/\//i.test(url)) throw new TypeError('a JWT-SVID must only travel over https');
  return `Bearer ${svid.token}`;
}

/**
 * The token in an authorization field, or undefined where there is none of the scheme Bearer. Several fields are
 * undefined too: none of them can be said to be the right one.
 */
export function bearerTokenOf(field: string | readonly string[] | undefined): string | undefined {
  const value = typeof field === 'string' ? field : field?.length === 1 ? field[0] : undefined;
  // RFC 9110 11.1: the scheme is case-insensitive; RFC 6750 2.1: one token of these characters.
  return value === undefined ? undefined : /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(value)?.[1];
}
