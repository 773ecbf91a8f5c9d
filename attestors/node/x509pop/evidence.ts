// What agent and server say to each other: certificates, a nonce each way, a signature. Go's JSON, bytes as base64.
import { Buffer } from 'node:buffer';
import { constants, randomBytes, sign, verify, type KeyObject } from 'node:crypto';

/** The kinds of key that can answer. */
export type ChallengeKind = 'rsa_signature' | 'ecdsa_signature';

/** An answer to a challenge. */
export interface ChallengeResponse {
  readonly kind: ChallengeKind;
  readonly nonce: Buffer;
  /** RSA: the signature; ECDSA: r and s side by side. */
  readonly signature: Buffer;
}

export const NONCE_LENGTH = 32;
/** Nothing here is larger than a chain of certificates. */
const MAX_BYTES = 128 * 1_024;
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING };

/** The certificates, leaf first, as the agent sends them. */
export function writeCertificates(chain: readonly Uint8Array[]): Uint8Array {
  return Buffer.from(
    JSON.stringify({ certificates: chain.map((der) => Buffer.from(der).toString('base64')) }),
  );
}

/** @throws Error if it is no such document. */
export function readCertificates(payload: Uint8Array): Buffer[] {
  const { certificates } = readJson(payload);
  if (!Array.isArray(certificates) || certificates.length === 0) throw new Error('no certificate to attest');
  return certificates.map((text: unknown) => bytesOf(text, 'a certificate'));
}

/** How a key answers; undefined if it cannot. */
export function challengeKindOf(key: KeyObject): ChallengeKind | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'rsa_signature';
  return key.asymmetricKeyType === 'ec' ? 'ecdsa_signature' : undefined;
}

export function writeChallenge(kind: ChallengeKind, nonce: Uint8Array): Uint8Array {
  return Buffer.from(JSON.stringify({ [kind]: { nonce: Buffer.from(nonce).toString('base64') } }));
}

/** @throws Error if it is no challenge for a key of this kind. */
export function readChallenge(bytes: Uint8Array, kind: ChallengeKind): Buffer {
  const challenge = readJson(bytes)[kind] as { nonce?: unknown } | undefined;
  if (typeof challenge !== 'object' || challenge === null) throw new Error(`the challenge is no ${kind}`);
  const nonce = bytesOf(challenge.nonce, 'the nonce');
  if (nonce.length === NONCE_LENGTH) return nonce;
  throw new Error(`the nonce has ${nonce.length} bytes, not ${NONCE_LENGTH}`);
}

/** Answers a challenge. The agent's own nonce sees to it that it never signs what somebody else chose alone. */
export function answerChallenge(challenge: Uint8Array, privateKey: KeyObject): Uint8Array {
  const kind = challengeKindOf(privateKey);
  if (kind === undefined) throw new Error(`a key of type ${privateKey.asymmetricKeyType} cannot answer`);
  const nonce = randomBytes(NONCE_LENGTH);
  const data = Buffer.concat([readChallenge(challenge, kind), nonce]);
  if (kind === 'rsa_signature') {
    const key = { key: privateKey, ...PSS, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    return write(kind, { nonce, signature: sign('sha256', data, key) });
  }
  const signature = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const half = signature.length / 2;
  return write(kind, { nonce, r: signature.subarray(0, half), s: signature.subarray(half) });
}

function write(kind: ChallengeKind, fields: Readonly<Record<string, Buffer>>): Uint8Array {
  const base64 = Object.entries(fields).map(([name, bytes]) => [name, bytes.toString('base64')]);
  return Buffer.from(JSON.stringify({ [kind]: Object.fromEntries(base64) }));
}

/** @throws Error if the response does not fit, or its signature is not one of the key's over both nonces. */
export function verifyResponse(bytes: Uint8Array, challengeNonce: Uint8Array, key: KeyObject): void {
  const kind = challengeKindOf(key);
  if (kind === undefined) throw new Error(`a key of type ${key.asymmetricKeyType} cannot answer`);
  const response = readJson(bytes)[kind] as Readonly<Record<string, unknown>> | undefined;
  if (typeof response !== 'object' || response === null) throw new Error(`the response is no ${kind}`);
  const nonce = bytesOf(response['nonce'], 'the nonce');
  if (nonce.length !== NONCE_LENGTH) {
    throw new Error(`the nonce of the response has ${nonce.length} bytes, not ${NONCE_LENGTH}`);
  }
  const data = Buffer.concat([challengeNonce, nonce]);
  if (!hasSigned(response, data, kind, key)) throw new Error('the signature is not valid');
}

function hasSigned(
  response: Readonly<Record<string, unknown>>,
  data: Buffer,
  kind: ChallengeKind,
  key: KeyObject,
): boolean {
  if (kind === 'rsa_signature') {
    const signature = bytesOf(response['signature'], 'the signature');
    return verify('sha256', data, { key, ...PSS, saltLength: constants.RSA_PSS_SALTLEN_AUTO }, signature);
  }
  const size = COORDINATE_BYTES.get(key.asymmetricKeyDetails?.namedCurve ?? '');
  if (size === undefined) return false;
  const [r, s] = [bytesOf(response['r'], 'r'), bytesOf(response['s'], 's')];
  if (r.length > size || s.length > size) return false;
  // Go writes numbers without leading zeros.
  const signature = Buffer.alloc(2 * size);
  r.copy(signature, size - r.length);
  s.copy(signature, 2 * size - s.length);
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

const COORDINATE_BYTES: ReadonlyMap<string, number> = new Map([
  ['prime256v1', 32],
  ['secp384r1', 48],
  ['secp521r1', 66],
]);

function readJson(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Error('it is no JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is no JSON object');
  return value as Readonly<Record<string, unknown>>;
}

function bytesOf(text: unknown, what: string): Buffer {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw new Error(`${what} is no base64`);
  }
  return Buffer.from(text, 'base64');
}
