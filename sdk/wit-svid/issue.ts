// Issues WIT-SVIDs (WIT-SVID 2 and 3, Incubating).
import { randomBytes, type KeyObject } from 'node:crypto';
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import { SpiffeError } from '../error.ts';
import { base64urlOf } from '../json/base64.ts';
import type { Writable } from '../json/stringify.ts';
import { algorithmOf, type JwsAlgorithm } from '../jwt-svid/algorithm.ts';
import { compactSigner, type JwsSigner } from '../jwt-svid/signer.ts';
import { pathOf, type SpiffeId } from '../spiffe-id.ts';
import { confirmationOf } from './confirmation.ts';
import { expectWitEnabled } from './experimental.ts';

/** Options of {@link createWitSvidIssuer}. */
export interface WitIssuerOptions {
  readonly experimental: Experimental;
  /** `iss`. Default: left out. Never an http URL: nothing of OpenID Connect discovery may take it up (WIT-SVID 3.6). */
  readonly issuer?: string;
}

/** What goes into one WIT-SVID. Times are milliseconds since 1970; tokens hold whole seconds. */
export interface WitSvidRequest {
  readonly id: SpiffeId;
  /** The workload's public key. */
  readonly confirmationKey: KeyObject;
  /** Default: by type and curve of the key. */
  readonly confirmationAlgorithm?: JwsAlgorithm;
  readonly expiresAt: number;
  /** `nbf`. Default: left out. */
  readonly notBefore?: number;
  /** `iat`. Default: now. */
  readonly issuedAt?: number;
  /** `jti`. Default: 128 random bits. */
  readonly tokenId?: string;
  readonly claims?: { readonly [name: string]: Writable };
}

const RESERVED = ['sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'iss', 'cnf'];

/**
 * A function that issues WIT-SVIDs of one authority: always with `alg`, `typ`, `kid`, `sub`, `exp` and `cnf`, never with
 * `aud` (WIT-19).
 *
 * The function throws SpiffeError `ERR_SPIFFE_ID` for an ID without a path, `ERR_BUNDLE` for a private confirmation key;
 * TypeError if an algorithm does not fit its key, or `claims` holds one that the issuer sets.
 *
 * @throws TypeError without the experimental switch, without a key ID, or with an issuer that looks like an OIDC one.
 */
export function createWitSvidIssuer(
  signer: JwsSigner,
  options: WitIssuerOptions,
): (request: WitSvidRequest) => Promise<string> {
  expectWitEnabled(options);
  if (signer.keyId === '') throw new TypeError('the signer of WIT-SVIDs needs a key ID');
  const { issuer } = options;
  if (issuer !== undefined && /^https?:/i.test(issuer)) {
    throw new TypeError('the issuer of WIT-SVIDs must not look like an OpenID Connect issuer (WIT-SVID 3.6)');
  }
  const sign = compactSigner(signer, 'wit+jwt');
  return async (request) => {
    const { id, confirmationKey, expiresAt, notBefore, issuedAt = Date.now(), claims = {} } = request;
    if (pathOf(id) === '') {
      throw new SpiffeError(
        'ERR_SPIFFE_ID',
        `${id} has no path: an SVID is for a workload, not a trust domain`,
      );
    }
    const reserved = RESERVED.find((name) => Object.hasOwn(claims, name));
    if (reserved !== undefined) throw new TypeError(`the claim ${reserved} is set by the issuer, or never`);
    const confirmationAlgorithm = request.confirmationAlgorithm ?? algorithmOf(confirmationKey);
    return sign({
      ...claims,
      iss: issuer,
      sub: id,
      exp: seconds(expiresAt),
      nbf: notBefore === undefined ? undefined : seconds(notBefore),
      iat: seconds(issuedAt),
      jti: request.tokenId ?? base64urlOf(randomBytes(16)),
      cnf: confirmationOf({ confirmationKey, confirmationAlgorithm }),
    });
  };
}

function seconds(time: number): number {
  if (!Number.isFinite(time)) throw new TypeError('times are milliseconds since 1970');
  return Math.floor(time / 1_000);
}
