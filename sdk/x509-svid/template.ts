// Issues X.509 certificates by DER template (RFC 5280 4.1, X509-SVID 2 to 4): the shape of an SVID is fixed, so what
// its authority settles is encoded once, and only serial, validity, subject, key and names are filled in.
import { randomBytes, type KeyObject } from 'node:crypto';
import { pathOf, trustDomainId, type SpiffeId, type TrustDomain } from '../spiffe-id.ts';
import { SpiffeError } from '../error.ts';
import { hexOf, type Certificate } from './certificate.ts';
import { DerBuilder } from './der-builder.ts';
import { Tag } from './der-reader.ts';
import * as der from './der-writer.ts';
import { KeyUsageBit, Oid } from './object-identifiers.ts';
import { keyIdentifierOf, signatureAlgorithmFor } from './signature.ts';

/** Signs TBS bytes with an authority's key; a remote signer answers with a promise. */
export type SignTbs = (tbs: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** An authority that can sign certificates. */
export interface X509Signer {
  readonly certificate: Certificate;
  readonly publicKey: KeyObject;
  readonly sign: SignTbs;
}

/** What goes into one SVID. Times are milliseconds since 1970; certificates hold whole seconds. */
export interface X509SvidRequest {
  readonly id: SpiffeId;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  readonly notBefore: number;
  /** Clamped to the authority's own expiry. */
  readonly notAfter: number;
  readonly dnsNames?: readonly string[];
  /** The name of the subject, DER. Default: our own, with the first DNS name as common name. */
  readonly subject?: Uint8Array;
  /** Default: 16 random bytes. */
  readonly serial?: Uint8Array;
}

const DIGITAL_SIGNATURE_USAGES = ['digitalSignature', 'keyEncipherment', 'keyAgreement'] as const;

/**
 * A function that issues X509-SVIDs of one authority, as DER.
 *
 * The function throws SpiffeError `ERR_SPIFFE_ID` for an ID without a path (X509-SVID 3.2).
 */
export function createSvidIssuer(signer: X509Signer): (request: X509SvidRequest) => Promise<Uint8Array> {
  const { identifier } = signatureAlgorithmFor(signer.publicKey);
  const { certificate: authority } = signer;
  const version = der.element(0xa0, der.unsignedInteger(Uint8Array.of(2)));
  const anonymous = subjectOf(undefined);
  const fixedExtensions = fixedExtensionsOf(authority);
  const builder = new DerBuilder();
  // Back to front; nothing awaits in between, so that one builder serves all requests.
  const encode = (request: X509SvidRequest): Uint8Array => {
    const dnsNames = request.dnsNames ?? [];
    builder.clear();
    putSubjectAltName(builder, request.id, dnsNames);
    putSubjectKey(builder, request.publicKeyInfo);
    builder.put(fixedExtensions);
    builder.close(Tag.sequence, 0);
    builder.close(0xa3, 0);
    builder.put(request.publicKeyInfo);
    builder.put(request.subject ?? (dnsNames[0] === undefined ? anonymous : subjectOf(dnsNames[0])));
    const validity = builder.length;
    builder.put(der.time(Math.min(request.notAfter, authority.notAfter)));
    builder.put(der.time(Math.max(request.notBefore, authority.notBefore)));
    builder.close(Tag.sequence, validity);
    builder.put(authority.subject);
    builder.put(identifier);
    builder.unsignedInteger(request.serial ?? serials.next());
    builder.put(version);
    builder.close(Tag.sequence, 0);
    return builder.take();
  };
  const assemble = (tbs: Uint8Array, signature: Uint8Array): Uint8Array => {
    builder.clear();
    builder.put(signature);
    builder.byte(0);
    builder.close(Tag.bitString, 0);
    builder.put(identifier);
    builder.put(tbs);
    builder.close(Tag.sequence, 0);
    return builder.take();
  };
  return async (request) => {
    if (pathOf(request.id) === '') {
      throw new SpiffeError(
        'ERR_SPIFFE_ID',
        `${request.id} has no path: an SVID is for a workload, not a trust domain`,
      );
    }
    const tbs = encode(request);
    const signature = signer.sign(tbs);
    return assemble(tbs, signature instanceof Uint8Array ? signature : await signature);
  };
}

// What every leaf of an authority has: usages, cA false, and who signed.
function fixedExtensionsOf(authority: Certificate): Uint8Array {
  return der.concat([
    keyUsageExtension(DIGITAL_SIGNATURE_USAGES),
    extension(
      Oid.extKeyUsage,
      false,
      der.sequence(der.objectIdentifier(Oid.serverAuth), der.objectIdentifier(Oid.clientAuth)),
    ),
    extension(Oid.basicConstraints, true, der.sequence()),
    authorityKeyExtension(authority),
  ]);
}

function authorityKeyExtension({ extensions, publicKeyInfo }: Certificate): Uint8Array {
  const keyIdentifier = extensions.subjectKeyIdentifier ?? keyIdentifierOf(publicKeyInfo);
  return extension(Oid.authorityKeyIdentifier, false, der.sequence(der.element(0x80, keyIdentifier)));
}

const SUBJECT_ALT_NAME = der.objectIdentifier(Oid.subjectAltName);
const SUBJECT_KEY_IDENTIFIER = der.objectIdentifier(Oid.subjectKeyIdentifier);

function putSubjectAltName(builder: DerBuilder, id: SpiffeId, dnsNames: readonly string[]): void {
  const mark = builder.length;
  builder.ascii(0x86, id);
  for (let index = dnsNames.length - 1; index >= 0; index--) builder.ascii(0x82, dnsNames[index]!);
  builder.close(Tag.sequence, mark);
  builder.close(Tag.octetString, mark);
  builder.put(SUBJECT_ALT_NAME);
  builder.close(Tag.sequence, mark);
}

function putSubjectKey(builder: DerBuilder, publicKeyInfo: Uint8Array): void {
  const mark = builder.length;
  builder.put(keyIdentifierOf(publicKeyInfo));
  builder.close(Tag.octetString, mark);
  builder.close(Tag.octetString, mark);
  builder.put(SUBJECT_KEY_IDENTIFIER);
  builder.close(Tag.sequence, mark);
}

/** What goes into a signing certificate. Times are milliseconds since 1970. */
export interface X509AuthorityRequest {
  readonly trustDomain: TrustDomain;
  readonly publicKey: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Signs with the key of the authority itself, or of `issuer`. */
  readonly sign: SignTbs;
  /** Who signs; default: the authority itself. The certificate never outlives it. */
  readonly issuer?: Pick<X509Signer, 'certificate' | 'publicKey'>;
  /** How many signing certificates may follow below. Default: any number. */
  readonly pathLength?: number;
}

/**
 * Issues a signing certificate of a trust domain, as DER (X509-SVID 3 and 4): the trust domain's ID without a path, cA,
 * keyCertSign and cRLSign and no other usage. Self-signed unless an issuer is given.
 */
export async function issueX509Authority(request: X509AuthorityRequest): Promise<Uint8Array> {
  const { issuer, pathLength } = request;
  const { identifier } = signatureAlgorithmFor(issuer?.publicKey ?? request.publicKey);
  const publicKeyInfo = request.publicKey.export({ type: 'spki', format: 'der' });
  const serial = serials.next();
  // The serial number in the name keeps the names of several authorities apart, so that path building stays cheap.
  const name = nameOf([
    [Oid.organizationName, 'Sigil'],
    [Oid.serialNumber, BigInt(`0x${hexOf(serial)}`).toString()],
  ]);
  const length = pathLength === undefined ? [] : [der.unsignedInteger(bytesOf(pathLength))];
  const tbs = der.sequence(
    der.element(0xa0, der.unsignedInteger(Uint8Array.of(2))),
    der.unsignedInteger(serial),
    identifier,
    issuer?.certificate.subject ?? name,
    der.sequence(
      der.time(Math.max(request.notBefore, issuer?.certificate.notBefore ?? -Infinity)),
      der.time(Math.min(request.notAfter, issuer?.certificate.notAfter ?? Infinity)),
    ),
    name,
    publicKeyInfo,
    der.element(
      0xa3,
      der.sequence(
        keyUsageExtension(['keyCertSign', 'cRLSign']),
        extension(Oid.basicConstraints, true, der.sequence(der.boolean(true), ...length)),
        subjectKeyExtension(publicKeyInfo),
        ...(issuer === undefined ? [] : [authorityKeyExtension(issuer.certificate)]),
        subjectAltNameExtension(trustDomainId(request.trustDomain), [], false),
      ),
    ),
  );
  return der.sequence(tbs, identifier, der.bitString(await request.sign(tbs)));
}

function bytesOf(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xff) throw new TypeError('a path length is 0 to 255');
  return Uint8Array.of(value);
}

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

function subjectKeyExtension(publicKeyInfo: Uint8Array): Uint8Array {
  return extension(Oid.subjectKeyIdentifier, false, der.octetString(keyIdentifierOf(publicKeyInfo)));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return critical
    ? der.sequence(der.objectIdentifier(oid), der.boolean(true), der.octetString(value))
    : der.sequence(der.objectIdentifier(oid), der.octetString(value));
}

// DER: trailing zero bits of a named bit list are dropped (X.690 11.2.2). All bits here lie in the first byte.
function keyUsageExtension(usages: readonly (keyof typeof KeyUsageBit)[]): Uint8Array {
  const byte = usages.reduce((bits, usage) => bits | (0x80 >> KeyUsageBit[usage]), 0);
  const unused = Math.log2(byte & -byte);
  return extension(Oid.keyUsage, true, der.element(0x03, Uint8Array.of(unused, byte)));
}

// SPIRE's habit, which databases rely on to map users: the first DNS name is the common name.
function subjectOf(dnsName: string | undefined): Uint8Array {
  return dnsName === undefined
    ? nameOf([[Oid.organizationName, 'Sigil']])
    : nameOf([
        [Oid.organizationName, 'Sigil'],
        [Oid.commonName, dnsName],
      ]);
}

// Each attribute a set of its own, as UTF8String (RFC 5280 4.1.2.4).
function nameOf(attributes: readonly (readonly [oid: string, value: string])[]): Uint8Array {
  return der.sequence(
    ...attributes.map(([oid, value]) =>
      der.element(
        0x31,
        der.sequence(der.objectIdentifier(oid), der.element(0x0c, new TextEncoder().encode(value))),
      ),
    ),
  );
}

// Odd numbers in 1..2^127-1: at least 64 bits of randomness (CA/B 7.1), positive, and never longer than 16 bytes. They are
// public, so fetching many at a time gives nothing away.
const serials = {
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
