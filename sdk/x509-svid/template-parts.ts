// What leaves and signing certificates have in common: extensions, names, serial numbers (RFC 5280 4.1 and 4.2).
import { randomBytes } from 'node:crypto';
import type { SpiffeId } from '../spiffe-id.ts';
import type { Certificate } from './certificate.ts';
import * as der from './der-writer.ts';
import { KeyUsageBit, Oid } from './object-identifiers.ts';
import { keyIdentifierOf } from './signature.ts';

/** The subjectAltName extension: one URI, the ID, and DNS names. */
export function subjectAltNameExtension(
  id: SpiffeId,
  dnsNames: readonly string[],
  critical: boolean,
): Uint8Array {
  return extension(
    Oid.subjectAltName,
    critical,
    der.sequence(
      ...dnsNames.map((name) => der.element(0x82, der.ascii(name))),
      der.element(0x86, der.ascii(id)),
    ),
  );
}

/** The subjectKeyIdentifier extension of a key. */
export function subjectKeyExtension(publicKeyInfo: Uint8Array): Uint8Array {
  return extension(Oid.subjectKeyIdentifier, false, der.octetString(keyIdentifierOf(publicKeyInfo)));
}

/** An extension around its value. */
export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return critical
    ? der.sequence(der.objectIdentifier(oid), der.boolean(true), der.octetString(value))
    : der.sequence(der.objectIdentifier(oid), der.octetString(value));
}

/**
 * The key usage extension, critical. DER drops the trailing zero bits of a named bit list (X.690 11.2.2); all bits here lie
 * in the first byte.
 */
export function keyUsageExtension(usages: readonly (keyof typeof KeyUsageBit)[]): Uint8Array {
  const byte = usages.reduce((bits, usage) => bits | (0x80 >> KeyUsageBit[usage]), 0);
  const unused = Math.log2(byte & -byte);
  return extension(Oid.keyUsage, true, der.element(0x03, Uint8Array.of(unused, byte)));
}

/** The subject of a leaf. SPIRE's habit, which databases rely on to map users: the first DNS name is the common name. */
export function subjectOf(dnsName: string | undefined): Uint8Array {
  return dnsName === undefined
    ? nameOf([[Oid.organizationName, 'Sigil']])
    : nameOf([
        [Oid.organizationName, 'Sigil'],
        [Oid.commonName, dnsName],
      ]);
}

/** A name: each attribute a set of its own, as UTF8String (RFC 5280 4.1.2.4). */
export function nameOf(attributes: readonly (readonly [oid: string, value: string])[]): Uint8Array {
  return der.sequence(
    ...attributes.map(([oid, value]) =>
      der.element(
        0x31,
        der.sequence(der.objectIdentifier(oid), der.element(0x0c, new TextEncoder().encode(value))),
      ),
    ),
  );
}

/**
 * Serial numbers: odd numbers in 1..2^127-1: at least 64 bits of randomness (CA/B 7.1), positive, and never longer than 16 bytes. They are
 * public, so fetching many at a time gives nothing away.
 */
export const serials = {
  bytes: new Uint8Array(16 * 64),
  used: 16 * 64,
  next(): Uint8Array {
    if (this.used === this.bytes.length) {
      this.bytes = new Uint8Array(randomBytes(16 * 64));
      this.used = 0;
    }
    const serial = this.bytes.subarray(this.used, this.used + 16);
    this.used += 16;
    serial[0]! &= 0x7f;
    serial[15]! |= 1;
    return serial;
  },
};

/** The authorityKeyIdentifier extension that names an authority. */
export function authorityKeyExtension({ extensions, publicKeyInfo }: Certificate): Uint8Array {
  const keyIdentifier = extensions.subjectKeyIdentifier ?? keyIdentifierOf(publicKeyInfo);
  return extension(Oid.authorityKeyIdentifier, false, der.sequence(der.element(0x80, keyIdentifier)));
}
