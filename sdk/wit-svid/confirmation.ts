// The confirmation key of a WIT-SVID: `cnf.jwk` (RFC 7800 3.2, WIT-SVID 3.2).
import type { KeyObject } from 'node:crypto';
import { KeyCache, publicJwkOf, readPublicJwk } from '../bundle/jwk.ts';
import { messageOf } from '../error.ts';
import { isJsonObject, type JsonObject } from '../json/parse.ts';
import type { Writable } from '../json/stringify.ts';
import { algorithmFits, isJwsAlgorithm, type JwsAlgorithm } from '../jwt-svid/algorithm.ts';
import { refusal } from '../jwt-svid/compact.ts';
import { WIT_SVID } from './experimental.ts';

// A workload presents one key many times.
const seen = new KeyCache();

/** The key that proves possession, and with which algorithm. */
export interface Confirmation {
  readonly confirmationKey: KeyObject;
  readonly confirmationAlgorithm: JwsAlgorithm;
}

/**
 * Reads `cnf`: a public asymmetric key in `jwk`, with an `alg` that is one of the nine and fits the key.
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID`.
 */
export function readConfirmation(claims: JsonObject): Confirmation {
  const { cnf } = claims;
  if (!isJsonObject(cnf)) throw refusal(WIT_SVID, 'its confirmation (cnf) is missing or no object');
  const { jwk } = cnf;
  if (!isJsonObject(jwk)) throw refusal(WIT_SVID, 'its confirmation key (cnf.jwk) is missing or no object');
  const { alg } = jwk;
  if (!isJwsAlgorithm(alg)) {
    throw refusal(
      WIT_SVID,
      'the algorithm of its confirmation key (cnf.jwk.alg) is not one of the allowed ones',
    );
  }
  let key: KeyObject;
  try {
    key = readPublicJwk(jwk, seen);
  } catch (cause) {
    throw refusal(WIT_SVID, `its confirmation key: ${messageOf(cause)}`, cause);
  }
  if (!algorithmFits(alg, key)) throw refusal(WIT_SVID, `its confirmation key cannot be used with ${alg}`);
  return { confirmationKey: key, confirmationAlgorithm: alg };
}

/**
 * The claim `cnf` for a public key.
 *
 * @throws TypeError if the algorithm cannot use the key; SpiffeError `ERR_BUNDLE` for a private key.
 */
export function confirmationOf({ confirmationKey, confirmationAlgorithm }: Confirmation): Writable {
  if (!algorithmFits(confirmationAlgorithm, confirmationKey)) {
    throw new TypeError(`${confirmationAlgorithm} cannot use the confirmation key`);
  }
  return { jwk: { ...publicJwkOf(confirmationKey), alg: confirmationAlgorithm } };
}
