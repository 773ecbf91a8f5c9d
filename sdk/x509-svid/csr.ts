// Certificate signing requests (PKCS#10, RFC 2986): made for our own keys, read strictly when a peer sends them.
import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { DerReader, Tag } from './der-reader.ts';
import { bitString, element, objectIdentifier, sequence, unsignedInteger } from './der-writer.ts';
import { readExtensions, type Extensions } from './extensions.ts';
import { Oid } from './object-identifiers.ts';
import { readPublicKey } from './public-key.ts';
import { isSignedBy, readAlgorithm, signatureAlgorithmFor } from './signature.ts';
import { subjectAltNameExtension } from './template-parts.ts';

/** The largest request that is read, in bytes. */
export const MAX_CSR_BYTES = 16_384;

/** A request whose signature proved possession of the key. */
export interface CertificateRequest {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  /** Subject, as DER. */
  readonly subject: Uint8Array;
  /** What the request's extensionRequest attribute says. */
  readonly extensions: Extensions;
}

/**
 * Reads a request and verifies its signature.
 *
 * @throws SpiffeError `ERR_CSR`.
 */
export function readCsr(der: Uint8Array): CertificateRequest {
  if (der.length > MAX_CSR_BYTES) {
    throw new SpiffeError('ERR_CSR', `the CSR is larger than ${MAX_CSR_BYTES} bytes`);
  }
  try {
    return read(der);
  } catch (cause) {
    if (cause instanceof SpiffeError && cause.code === 'ERR_CSR') throw cause;
    throw new SpiffeError('ERR_CSR', `malformed CSR: ${(cause as Error).message}`, { cause });
  }
}

function read(der: Uint8Array): CertificateRequest {
  const outer = DerReader.document(der, Tag.sequence);
  const infoElement = outer.read(Tag.sequence);
  const algorithm = readAlgorithm(outer.enter(Tag.sequence));
  const signature = outer.readOctetAlignedBits();
  outer.expectEnd();
  const info = outer.inside(infoElement);
  if (info.readSmallInteger() !== 0) throw new SpiffeError('ERR_CSR', 'the CSR is not of version 1');
  const subject = info.wholeOf(info.read(Tag.sequence));
  const publicKeyInfo = info.wholeOf(info.read(Tag.sequence));
  const attributes = info.readOptional(0xa0);
  info.expectEnd();
  const extensions =
    attributes === undefined ? { unknownCritical: [] } : readAttributes(info.inside(attributes));
  const publicKey = readPublicKey(publicKeyInfo, 'ERR_CSR');
  if (!isSignedBy(algorithm, outer.wholeOf(infoElement), publicKey, signature)) {
    throw new SpiffeError('ERR_CSR', 'invalid CSR signature: it was not made with the key in the CSR');
  }
  return { publicKey, publicKeyInfo, subject, extensions };
}

function readAttributes(attributes: DerReader): Extensions {
  let extensions: Extensions = { unknownCritical: [] };
  let seen = false;
  while (!attributes.atEnd) {
    const attribute = attributes.enter(Tag.sequence);
    const oid = attribute.readObjectIdentifier();
    const values = attribute.enter(Tag.set);
    attribute.expectEnd();
    if (oid !== Oid.extensionRequest) continue;
    if (seen) throw new SpiffeError('ERR_CSR', 'the CSR asks for extensions twice');
    seen = true;
    extensions = readExtensions(values.enter(Tag.sequence));
    values.expectEnd();
  }
  return extensions;
}

/**
 * Makes a request for a key, naming an ID and DNS names if they are given (an agent's are taken from the entry, not from
 * here).
 *
 * @returns DER.
 */
export function createCsr(
  privateKey: KeyObject,
  id?: SpiffeId,
  { dnsNames = [] }: { readonly dnsNames?: readonly string[] } = {},
): Uint8Array {
  const publicKey = createPublicKey(privateKey);
  const { identifier, hash } = signatureAlgorithmFor(publicKey);
  const attributes =
    id === undefined
      ? element(0xa0)
      : element(
          0xa0,
          sequence(
            objectIdentifier(Oid.extensionRequest),
            element(Tag.set, sequence(subjectAltNameExtension(id, dnsNames, false))),
          ),
        );
  const info = sequence(
    unsignedInteger(Uint8Array.of(0)),
    sequence(),
    publicKey.export({ type: 'spki', format: 'der' }),
    attributes,
  );
  return sequence(info, identifier, bitString(sign(hash, info, privateKey)));
}
