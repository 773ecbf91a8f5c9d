// An X509-SVID with its private key, as the Workload API hands it out.
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { SpiffeError } from '../error.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { parseCertificates } from './certificate.ts';
import { DerReader, Tag } from './der-reader.ts';
import { hasKeyUsage } from './extensions.ts';
import { MAX_CHAIN_LENGTH, x509SvidIdOf } from './verify.ts';

/** An identity that can be presented. Times are milliseconds since 1970. */
export interface X509Svid {
  readonly id: SpiffeId;
  /** DER, leaf first, then intermediates. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS#8, DER. Never log it. */
  readonly privateKey: Uint8Array;
  /** Hexadecimal. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** What the operator calls this identity; empty if nothing. */
  readonly hint: string;
}

/**
 * Reads an SVID in the wire form of the Workload API (concatenated DER, PKCS#8) and checks that it is one: an SVID by
 * every rule that needs no bundle, and the key belongs to the leaf.
 *
 * @throws SpiffeError `ERR_DER`, `ERR_CERTIFICATE`, `ERR_SVID_NOT_AN_SVID` or `ERR_PRIVATE_KEY`.
 */
export function parseX509Svid(certificates: Uint8Array, privateKey: Uint8Array, hint = ''): X509Svid {
  const chain = parseCertificates(certificates, MAX_CHAIN_LENGTH);
  const leaf = chain[0];
  if (leaf === undefined) throw new SpiffeError('ERR_SVID_NOT_AN_SVID', 'the SVID has no certificate');
  const id = x509SvidIdOf(leaf);
  if (!hasKeyUsage(leaf.extensions, 'digitalSignature')) {
    throw new SpiffeError(
      'ERR_SVID_NOT_AN_SVID',
      `the certificate of ${id} lacks the key usage digitalSignature: it could not be presented`,
    );
  }
  const key = readPrivateKey(privateKey);
  const publicKeyInfo = createPublicKey(key).export({ type: 'spki', format: 'der' });
  if (!Buffer.from(leaf.publicKeyInfo).equals(publicKeyInfo)) {
    throw new SpiffeError('ERR_PRIVATE_KEY', `the private key is not that of the certificate of ${id}`);
  }
  return {
    id,
    certificates: chain.map((certificate) => certificate.der),
    privateKey,
    serial: leaf.serial,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    hint,
  };
}

/**
 * Reads an unencrypted PKCS#8 private key.
 *
 * @throws SpiffeError `ERR_PRIVATE_KEY`; the message never holds key material.
 */
export function readPrivateKey(pkcs8: Uint8Array): KeyObject {
  try {
    expectPkcs8(pkcs8);
    return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  } catch {
    // The cause is left out on purpose: it would carry parser output about key bytes.
    throw new SpiffeError('ERR_PRIVATE_KEY', 'the private key is not an unencrypted PKCS#8 document');
  }
}

// OneAsymmetricKey (RFC 5958 2), with nothing after it. The runtimes also take other documents here, and trailing bytes.
function expectPkcs8(der: Uint8Array): void {
  const inside = DerReader.document(der, Tag.sequence);
  const version = inside.readSmallInteger();
  inside.read(Tag.sequence);
  inside.read(Tag.octetString);
  inside.readOptional(0xa0);
  if (version === 1) inside.readOptional(0x81);
  inside.expectEnd();
}
