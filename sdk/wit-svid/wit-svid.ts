// A WIT-SVID and how its form is read (WIT-SVID.md at revision 665a28f, Incubating). What is read here is neither
// verified nor proven: the only place that accepts a WIT-SVID is `verifyWitRequest`.
import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '../json/parse.ts';
import type { JwsAlgorithm } from '../jwt-svid/algorithm.ts';
import { readSubject, readTimes, type TokenTimes } from '../jwt-svid/claims.ts';
import { openToken, readClaims, refusal, type OpenedToken } from '../jwt-svid/compact.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { readConfirmation } from './confirmation.ts';
import { WIT_SVID } from './experimental.ts';

/** What a WIT-SVID says. Times are milliseconds since 1970. */
export interface WitClaims extends TokenTimes {
  readonly id: SpiffeId;
  /** The key that whoever presents the token must prove to hold (`cnf.jwk`). */
  readonly confirmationKey: KeyObject;
  /** The one algorithm of that proof (`cnf.jwk.alg`). */
  readonly confirmationAlgorithm: JwsAlgorithm;
  readonly claims: JsonObject;
  readonly token: string;
}

/** Opens a token and judges its header: `alg`, then `typ`, then `kid` (WIT-SVID 2). */
export function openWitSvid(token: string): OpenedToken {
  const opened = openToken(token, WIT_SVID);
  const { typ, kid } = opened.header;
  if (typ !== 'wit+jwt') throw refusal(WIT_SVID, 'its type (typ) is not wit+jwt');
  if (typeof kid !== 'string' || kid === '')
    throw refusal(WIT_SVID, 'its key ID (kid) is missing or no text');
  return opened;
}

/** Reads the claims of an opened token (WIT-SVID 3). */
export function readWitSvid(opened: OpenedToken): WitClaims {
  const claims = readClaims(opened, WIT_SVID);
  const id = readSubject(claims, WIT_SVID);
  // The member must be absent: null and the empty array are an audience too (WIT-SVID 3.7, C-17).
  if (claims['aud'] !== undefined)
    throw refusal(WIT_SVID, 'it has an audience (aud), which a WIT-SVID must not have');
  return { id, ...readTimes(claims, WIT_SVID), ...readConfirmation(claims), claims, token: opened.token };
}
