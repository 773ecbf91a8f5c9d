// Reads an X.509 certificate (RFC 5280 4.1) into the fields that validation needs. It judges form, not trust.
import { Buffer } from 'node:buffer';
import type { KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { DerReader, Tag } from './der-reader.ts';
import { readExtensions, type Extensions } from './extensions.ts';
import { readPublicKey } from './public-key.ts';
import { readAlgorithm } from './signature.ts';

/** The largest certificate that is read, in bytes. */
export const MAX_CERTIFICATE_BYTES = 65_536;

/** A certificate as it was read. Byte strings are views of `der`. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly tbs: Uint8Array;
  /** Serial number, hexadecimal, lower case, without a sign byte. */
  readonly serial: string;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  /** Name of the issuer, as DER: names are compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKeyInfo: Uint8Array;
  readonly extensions: Extensions;
}

/**
 * Reads one certificate.
 *
 * @throws SpiffeError `ERR_DER` or `ERR_CERTIFICATE`.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw new SpiffeError('ERR_CERTIFICATE', `the certificate is larger than ${MAX_CERTIFICATE_BYTES} bytes`);
  }
  const outer = DerReader.document(der, Tag.sequence);
  const tbsElement = outer.read(Tag.sequence);
  const algorithm = outer.read(Tag.sequence);
  const signatureAlgorithm = readAlgorithm(outer.inside(algorithm));
  const signature = outer.readOctetAlignedBits();
  outer.expectEnd();

  const tbs = outer.inside(tbsElement);
  readVersion(tbs);
  const serial = readSerial(tbs);
  const signedAlgorithm = tbs.wholeOf(tbs.read(Tag.sequence));
  if (Buffer.compare(signedAlgorithm, outer.wholeOf(algorithm)) !== 0) {
    throw new SpiffeError('ERR_CERTIFICATE', 'the two signature algorithms differ (RFC 5280 4.1.1.2)');
  }
  const issuer = tbs.wholeOf(tbs.read(Tag.sequence));
  const validity = tbs.enter(Tag.sequence);
  const notBefore = validity.readTime();
  const notAfter = validity.readTime();
  validity.expectEnd();
  const subject = tbs.wholeOf(tbs.read(Tag.sequence));
  const publicKeyInfo = tbs.wholeOf(tbs.read(Tag.sequence));
  tbs.readOptional(0x81); // issuerUniqueID
  tbs.readOptional(0x82); // subjectUniqueID
  const extensions = readExtensionsOf(tbs);
  return {
    der,
    tbs: outer.wholeOf(tbsElement),
    serial,
    signatureAlgorithm,
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKeyInfo,
    extensions,
  };
}

/**
 * Splits concatenated DER certificates (the wire form of the Workload API) and reads each.
 *
 * @throws SpiffeError `ERR_DER` or `ERR_CERTIFICATE`.
 */
export function parseCertificates(der: Uint8Array, most = 1024): Certificate[] {
  const reader = new DerReader(der);
  const certificates: Certificate[] = [];
  while (!reader.atEnd) {
    if (certificates.length === most)
      throw new SpiffeError('ERR_CERTIFICATE', `more than ${most} certificates`);
    certificates.push(parseCertificate(reader.wholeOf(reader.read(Tag.sequence))));
  }
  return certificates;
}

const publicKeys = new WeakMap<Certificate, KeyObject>();

/** The public key of a certificate; read once. */
export function publicKeyOf(certificate: Certificate): KeyObject {
  let key = publicKeys.get(certificate);
  if (key === undefined) {
    key = readPublicKey(certificate.publicKeyInfo);
    publicKeys.set(certificate, key);
  }
  return key;
}

function readVersion(tbs: DerReader): void {
  const explicit = tbs.readOptional(0xa0);
  let version = 0;
  if (explicit !== undefined) {
    const inside = tbs.inside(explicit);
    version = inside.readSmallInteger();
    inside.expectEnd();
  }
  // Extensions, which an SVID cannot do without, exist from version 3 on (RFC 5280 4.1.2.1).
  if (version !== 2)
    throw new SpiffeError('ERR_CERTIFICATE', `the certificate has version ${version + 1}, not 3`);
}

// At most 20 bytes (RFC 5280 4.1.2.2). Zero and negative numbers occur in the wild and are left to the issuer.
function readSerial(tbs: DerReader): string {
  const bytes = tbs.readInteger();
  if (bytes.length > 21) throw new SpiffeError('ERR_CERTIFICATE', 'the serial number is too long');
  const hex = hexOf(bytes);
  return hex.startsWith('00') && hex.length > 2 ? hex.slice(2) : hex;
}

function readExtensionsOf(tbs: DerReader): Extensions {
  const explicit = tbs.readOptional(0xa3);
  tbs.expectEnd();
  if (explicit === undefined) return { unknownCritical: [] };
  const outer = tbs.inside(explicit);
  const list = outer.enter(Tag.sequence);
  outer.expectEnd();
  return readExtensions(list);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal of bytes. */
export function hexOf(bytes: Uint8Array): string {
  let hex = '';
  for (let index = 0; index < bytes.length; index++) hex += HEX[bytes[index]!]!;
  return hex;
}
