// Tokens for the conformance tests: signed with real keys, and broken in any place a test names.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { signWith, type JwsAlgorithm } from '../../sdk/jwt-svid/algorithm.ts';
import { base64urlOf } from '../../sdk/json/base64.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';

/** A private key with its public half. */
export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const EXAMPLE = parseTrustDomain('example.org');
export const OTHER = parseTrustDomain('other.org');

/** The instant at which every vector is judged: 2026-01-01, in milliseconds and in seconds. */
export const NOW = Date.UTC(2026, 0, 1);
export const NOW_SECONDS = NOW / 1_000;

export const ec = (namedCurve = 'P-256'): KeyPair => generateKeyPairSync('ec', { namedCurve });
export const rsa = (modulusLength = 2048): KeyPair => generateKeyPairSync('rsa', { modulusLength });

/** What a forged token is made of. A string as header or payload is taken as it is. */
export interface Forgery {
  readonly header?: Record<string, unknown> | string;
  readonly payload?: Record<string, unknown> | string;
  /** Default: the key and algorithm of the vectors, whatever the header says. */
  readonly key?: KeyObject;
  readonly algorithm?: JwsAlgorithm;
  /** Replaces the signature. */
  readonly signature?: string;
}

/** A compact JWS of exactly the given pieces; members that are undefined are left out. */
export function forge({ header = {}, payload = {}, key, algorithm = 'ES256', signature }: Forgery): string {
  const text = (part: Record<string, unknown> | string) =>
    base64urlOf(typeof part === 'string' ? part : JSON.stringify(part));
  const input = `${text(header)}.${text(payload)}`;
  if (signature !== undefined || key === undefined) return `${input}.${signature ?? ''}`;
  return `${input}.${base64urlOf(signWith(algorithm, new TextEncoder().encode(input), key))}`;
}
