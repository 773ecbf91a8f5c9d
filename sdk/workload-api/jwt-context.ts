// What the messages of the JWT profile say, read and checked (Workload API 6). Pure.
import type {
  JWTBundlesResponse,
  JWTSVIDResponse,
  ValidateJWTSVIDResponse,
} from '../api/gen/spiffe/workload/workload_pb.ts';
import { parseJwtBundle, type JwtBundle } from '../bundle/jwt-bundle.ts';
import { messageOf } from '../error.ts';
import { parseOwnJwtSvid, type JwtSvid } from '../jwt-svid/jwt-svid.ts';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '../spiffe-id.ts';
import { badMessage, firstOfEachHint, nonEmpty, readBundleMap } from './messages.ts';

/** What the endpoint says of a token that it found valid. */
export interface ValidatedToken {
  readonly id: SpiffeId;
  /** The claims, as JSON. Numbers are doubles; the endpoint may leave out those of foreign trust domains (WAPI-48). */
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * Reads JWT bundles, the whole state.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API`: the message must be discarded (WAPI-10).
 */
export function readJwtBundles(message: JWTBundlesResponse): ReadonlyMap<TrustDomain, JwtBundle> {
  return readBundleMap(message.bundles, parseJwtBundle);
}

/**
 * Reads JWT-SVIDs. Each must be what was asked for: of the ID, if one was named, and for every audience.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API`.
 */
export function readJwtSvids(
  message: JWTSVIDResponse,
  asked: { readonly audience: readonly string[]; readonly id: SpiffeId | undefined },
): readonly [JwtSvid, ...JwtSvid[]] {
  const svids = message.svids.map(({ svid: token, spiffeId, hint }) => {
    const svid = readToken(token, hint);
    if (svid.id !== spiffeId) throw badMessage(`the JWT-SVID of ${svid.id} came under the name ${spiffeId}`);
    if (asked.id !== undefined && svid.id !== asked.id) {
      throw badMessage(`a JWT-SVID of ${svid.id} came where one of ${asked.id} was asked for`);
    }
    if (!asked.audience.every((value) => svid.audience.includes(value))) {
      throw badMessage(`the JWT-SVID of ${svid.id} lacks an audience that was asked for`);
    }
    return svid;
  });
  return nonEmpty(firstOfEachHint(svids), 'JWT-SVIDs');
}

/**
 * Reads the endpoint's answer about a token. It must name the audience that was asked about.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API`.
 */
export function readValidation(message: ValidateJWTSVIDResponse, audience: string): ValidatedToken {
  const claims = message.claims;
  if (message.spiffeId === '' || claims === undefined)
    throw badMessage('an answer lacks the ID or the claims');
  const aud = claims['aud'];
  if (aud !== audience && !(Array.isArray(aud) && aud.includes(audience))) {
    throw badMessage('the claims of a token that was found valid lack the audience that was asked about');
  }
  try {
    return { id: parseSpiffeId(message.spiffeId), claims };
  } catch (cause) {
    throw badMessage(messageOf(cause), cause);
  }
}

function readToken(token: string, hint: string): JwtSvid {
  try {
    return parseOwnJwtSvid(token, hint);
  } catch (cause) {
    throw badMessage(messageOf(cause), cause);
  }
}
