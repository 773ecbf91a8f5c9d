// The workload proof token (draft-ietf-wimse-wpt-01, 2026-03-02): a short-lived JWT by the confirmation key, bound to
// the target URI and to the WIT-SVID. Later revisions move it to `Authorization: WPT ...`; this file follows -01 alone.
import { createHash, randomBytes } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { base64urlOf } from '../json/base64.ts';
import { isJsonObject, type JsonObject } from '../json/parse.ts';
import { isSignedWith, signWith } from '../jwt-svid/algorithm.ts';
import { openToken, readClaims, signedPartsOf, type TokenKind } from '../jwt-svid/compact.ts';
import { compactSigner } from '../jwt-svid/signer.ts';
import {
  proofError,
  type FieldMap,
  type ProofOfPossession,
  type ProofOptions,
  type WitRequest,
} from './proof-of-possession.ts';
import { createReplayGuard } from './replay-guard.ts';
import type { WitClaims } from './wit-svid.ts';

/** The field that carries a workload proof token. */
export const WPT_FIELD = 'workload-proof-token';

const WPT: TokenKind = { name: 'workload proof token', code: 'ERR_SVID_PROOF' };
const MAX_OTHER_TOKENS = 32;

/** Options of {@link wptProof}. */
export interface WptOptions extends ProofOptions {
  /** Target URIs, without query and fragment, that mean this service beside the one of the request. */
  readonly aliases?: readonly string[];
}

/** Proof of possession by workload proof tokens. */
export function wptProof(options: WptOptions = {}): ProofOfPossession {
  const { lifetime = 60_000, maxLifetime = 300_000, leeway = 30_000, aliases = [] } = options;
  const replay = options.replay === undefined ? createReplayGuard() : options.replay;
  return {
    name: 'workload proof token',
    isPresent: (fields) => fields.has(WPT_FIELD),
    async prove(request, fields, held, now) {
      const { confirmationAlgorithm: algorithm, privateKey } = held;
      const sign = compactSigner(
        { algorithm, sign: (data) => signWith(algorithm, data, privateKey) },
        'wpt+jwt',
      );
      const accessToken = accessTokenOf(fields);
      const transaction = fields.only('txn-token');
      const token = await sign({
        aud: withoutQuery(request.url),
        exp: Math.floor((now + lifetime) / 1_000),
        jti: base64urlOf(randomBytes(16)),
        wth: hashOf(held.token),
        ath: accessToken === undefined ? undefined : hashOf(accessToken),
        tth: transaction === undefined ? undefined : hashOf(transaction),
      });
      return [[WPT_FIELD, token]];
    },
    verify(request, fields, wit, now) {
      const claims = readSigned(fields, wit);
      const expiresAt = expectTimely(claims, now, leeway, maxLifetime);
      expectAudience(claims, request, aliases);
      expectHash(claims, 'wth', wit.token, 'the WIT-SVID');
      expectHash(claims, 'ath', accessTokenOf(fields), 'the access token');
      expectHash(claims, 'tth', transactionTokenOf(fields), 'the transaction token');
      expectOtherTokens(claims, fields);
      const { jti } = claims;
      if (typeof jti !== 'string' || jti === '') throw proofError('its identifier (jti) is missing');
      if (replay !== null && !replay.isFirstUse(`wpt ${wit.id} ${hashOf(jti)}`, expiresAt + leeway, now)) {
        throw proofError('it was used before');
      }
    },
  };
}

// Exactly one, of the right type, by the algorithm and the key that the WIT-SVID names (2, "To validate the WPT").
function readSigned(fields: FieldMap, wit: WitClaims): JsonObject {
  const token = fields.only(WPT_FIELD);
  if (token === undefined) throw proofError(`the request has not exactly one field ${WPT_FIELD}`);
  const opened = openToken(token, WPT);
  if (opened.header['typ'] !== 'wpt+jwt') throw proofError('its type (typ) is not wpt+jwt');
  if (opened.algorithm !== wit.confirmationAlgorithm)
    throw proofError('its algorithm is not that of the WIT-SVID');
  const claims = readClaims(opened, WPT);
  const { data, signature } = signedPartsOf(opened, WPT);
  if (!isSignedWith(opened.algorithm, data, wit.confirmationKey, signature)) {
    throw proofError('another key than that of the WIT-SVID signed it');
  }
  return claims;
}

function expectTimely(claims: JsonObject, now: number, leeway: number, maxLifetime: number): number {
  const { exp } = claims;
  if (typeof exp !== 'number') throw proofError('it has no expiry');
  const expiresAt = exp * 1_000;
  if (!(now < expiresAt + leeway)) throw proofError('it has expired');
  if (!(expiresAt <= now + maxLifetime + leeway)) throw proofError('it is valid for too long');
  return expiresAt;
}

function expectAudience(claims: JsonObject, request: WitRequest, aliases: readonly string[]): void {
  const { aud } = claims;
  // One target and no more: a proof for several services could be replayed by one of them to another.
  const target = Array.isArray(aud) && aud.length === 1 ? (aud[0] as unknown) : aud;
  if (typeof target === 'string' && [withoutQuery(request.url), ...aliases].includes(target)) return;
  throw proofError('it was made for another target (aud)');
}

function expectHash(claims: JsonObject, name: string, token: string | undefined, what: string): void {
  if (claims[name] === undefined && token === undefined) return;
  if (token === undefined || claims[name] !== hashOf(token)) {
    throw proofError(`it is not bound to ${what} of the request (${name})`);
  }
}

// Every listed token must be there once and match; what is not understood refuses the proof (2, oth).
function expectOtherTokens(claims: JsonObject, fields: FieldMap): void {
  const { oth } = claims;
  if (oth === undefined) return;
  if (!isJsonObject(oth) || Object.keys(oth).length > MAX_OTHER_TOKENS)
    throw proofError('its claim oth is malformed');
  for (const [name, hash] of Object.entries(oth)) {
    const value = fields.only(name);
    if (value === undefined || hash !== hashOf(value))
      throw proofError('it is bound to a token that is not there (oth)');
  }
}

function accessTokenOf(fields: FieldMap): string | undefined {
  const values = fields.all('authorization');
  if (values.length > 1)
    throw new SpiffeError('ERR_SVID_PROOF', 'the request has several authorization fields');
  return /^(?:bearer|dpop) +(\S+)$/i.exec(values[0] ?? '')?.[1];
}

function transactionTokenOf(fields: FieldMap): string | undefined {
  const values = fields.all('txn-token');
  if (values.length > 1)
    throw new SpiffeError('ERR_SVID_PROOF', 'the request has several transaction tokens');
  return values[0];
}

/** The target URI without query and fragment (draft-ietf-wimse-wpt-01 2, aud). */
function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
