// The signature algorithms of certificates and CSRs: a fixed list (RFC 5758, RFC 8017, RFC 8410), looked up by OID.
// SHA-1 and MD5 are not on it.
import { hash, verify, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { DerReader, Tag } from './der-reader.ts';
import { element, objectIdentifier, sequence } from './der-writer.ts';
import { Oid } from './object-identifiers.ts';

interface Algorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null;
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
}

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  [Oid.ecdsaWithSha256, { hash: 'sha256', keyType: 'ec' }],
  [Oid.ecdsaWithSha384, { hash: 'sha384', keyType: 'ec' }],
  [Oid.ecdsaWithSha512, { hash: 'sha512', keyType: 'ec' }],
  [Oid.sha256WithRsa, { hash: 'sha256', keyType: 'rsa' }],
  [Oid.sha384WithRsa, { hash: 'sha384', keyType: 'rsa' }],
  [Oid.sha512WithRsa, { hash: 'sha512', keyType: 'rsa' }],
  [Oid.ed25519, { hash: null, keyType: 'ed25519' }],
]);

/**
 * Reads the content of an AlgorithmIdentifier and returns its OID. Parameters must be absent or NULL for the algorithms on
 * the list; those of others are passed over, since no signature by them is ever accepted.
 */
export function readAlgorithm(inside: DerReader): string {
  const oid = inside.readObjectIdentifier();
  if (!inside.atEnd) {
    const parameters = inside.read();
    if (ALGORITHMS.has(oid) && (parameters.tag !== 0x05 || parameters.end !== parameters.content)) {
      throw new SpiffeError('ERR_CERTIFICATE', `signature algorithm ${oid} has parameters that are not NULL`);
    }
    inside.expectEnd();
  }
  return oid;
}

/** Whether `signature` over `data` was made with `key` by the algorithm `oid`. Unknown algorithms are false. */
export function isSignedBy(oid: string, data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  const algorithm = ALGORITHMS.get(oid);
  if (algorithm === undefined || key.asymmetricKeyType !== algorithm.keyType) return false;
  return verify(algorithm.hash, data, key, signature);
}

/** The AlgorithmIdentifier (DER) and the hash that a signer with the given public key uses. */
export function signatureAlgorithmFor(key: KeyObject): {
  readonly identifier: Uint8Array;
  readonly hash: 'sha256' | 'sha384' | null;
} {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  switch (key.asymmetricKeyType) {
    case 'ec':
      return curve === 'secp384r1'
        ? { identifier: sequence(objectIdentifier(Oid.ecdsaWithSha384)), hash: 'sha384' }
        : { identifier: sequence(objectIdentifier(Oid.ecdsaWithSha256)), hash: 'sha256' };
    case 'rsa':
      return { identifier: sequence(objectIdentifier(Oid.sha256WithRsa), element(0x05)), hash: 'sha256' };
    case 'ed25519':
      return { identifier: sequence(objectIdentifier(Oid.ed25519)), hash: null };
    default:
      throw new TypeError(`a key of type ${key.asymmetricKeyType} cannot sign certificates`);
  }
}

/** SHA-1 of the public key bits: the key identifier of RFC 5280 4.2.1.2 (1). Not a security property. */
export function keyIdentifierOf(spki: Uint8Array): Uint8Array {
  const reader = DerReader.document(spki, Tag.sequence);
  reader.read(Tag.sequence);
  return hash('sha1', reader.readOctetAlignedBits(), 'buffer');
}
