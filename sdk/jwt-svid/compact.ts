// JWS Compact Serialization (RFC 7515 7.1), read in steps, so that `alg` is judged before anything else is looked at.
// Shared by JWT-SVIDs, WIT-SVIDs and workload proof tokens.
import { Buffer } from 'node:buffer';
import { messageOf, SpiffeError, type SpiffeErrorCode } from '../error.ts';
import { decodeBase64url } from '../json/base64.ts';
import { parseJsonObject, type JsonObject } from '../json/parse.ts';
import { isJwsAlgorithm, type JwsAlgorithm } from './algorithm.ts';

/** The longest token that is read, in characters: more than any HTTP header can carry. */
export const MAX_TOKEN_LENGTH = 65_536;

/** A token whose header was read and whose claims were not. */
export interface OpenedToken {
  readonly algorithm: JwsAlgorithm;
  readonly header: JsonObject;
  readonly token: string;
  readonly payloadAt: number;
  readonly signatureAt: number;
}

/** How a kind of token names itself in errors. */
export interface TokenKind {
  readonly name: string;
  readonly code: SpiffeErrorCode;
}

/**
 * Splits a token and reads its header: three parts, base64url without padding, an allowed `alg`, no `crit`. Header
 * members that are not known are ignored (C-04), and keys that a header carries are never used.
 *
 * @throws SpiffeError with the code of `kind`; TypeError if `token` is no string.
 */
export function openToken(token: string, kind: TokenKind): OpenedToken {
  if (typeof token !== 'string') throw new TypeError(`a ${kind.name} must be a string`);
  if (token.length > MAX_TOKEN_LENGTH)
    throw refusal(kind, `it is longer than ${MAX_TOKEN_LENGTH} characters`);
  const headerEnd = token.indexOf('.');
  const payloadEnd = token.indexOf('.', headerEnd + 1);
  if (headerEnd < 1 || payloadEnd === -1 || token.includes('.', payloadEnd + 1)) {
    throw refusal(kind, 'it is not in JWS Compact Serialization: three parts with two dots between');
  }
  const header = readPart(token.slice(0, headerEnd), 'header', kind);
  const { alg } = header;
  if (!isJwsAlgorithm(alg)) throw refusal(kind, 'its algorithm (alg) is not one of the allowed ones');
  // No extension is understood here, so any that is critical must be refused (RFC 7515 4.1.11).
  if (header['crit'] !== undefined) throw refusal(kind, 'its header has critical extensions (crit)');
  return { algorithm: alg, header, token, payloadAt: headerEnd + 1, signatureAt: payloadEnd + 1 };
}

/** Reads the claims. Nothing is verified by that. */
export function readClaims(opened: OpenedToken, kind: TokenKind): JsonObject {
  return readPart(opened.token.slice(opened.payloadAt, opened.signatureAt - 1), 'payload', kind);
}

/** The bytes that were signed, and the signature over them. Call after {@link readClaims}: both parts are ASCII then. */
export function signedPartsOf(
  opened: OpenedToken,
  kind: TokenKind,
): { readonly data: Uint8Array; readonly signature: Uint8Array } {
  const signature = decodeBase64url(opened.token.slice(opened.signatureAt));
  if (signature === undefined || signature.length === 0)
    throw refusal(kind, 'its signature is not base64url');
  return { data: Buffer.from(opened.token.slice(0, opened.signatureAt - 1), 'latin1'), signature };
}

/** What is wrong with a token, under the code of its kind. Never holds the token or a claim that is not an ID. */
export function refusal(kind: TokenKind, problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError(kind.code, `not a ${kind.name}: ${problem}`, { cause });
}

function readPart(text: string, part: string, kind: TokenKind): JsonObject {
  const bytes = decodeBase64url(text);
  if (bytes === undefined) throw refusal(kind, `its ${part} is not base64url without padding`);
  try {
    return parseJsonObject(bytes);
  } catch (cause) {
    throw refusal(kind, `its ${part}: ${messageOf(cause)}`, cause);
  }
}
