// Issues X509-SVIDs by DER template (RFC 5280 4.1, X509-SVID 2 to 4): the shape of an SVID is fixed, so what its
// authority settles is encoded once, and only serial, validity, subject, key and names are filled in.
import { pathOf, type SpiffeId } from '../spiffe-id.ts';
import { SpiffeError } from '../error.ts';
import type { Certificate } from './certificate.ts';
import { DerBuilder } from './der-builder.ts';
import { Tag } from './der-reader.ts';
import * as der from './der-writer.ts';
import { Oid } from './object-identifiers.ts';
import { keyIdentifierOf, signatureAlgorithmFor } from './signature.ts';
import type { X509Signer } from './signer.ts';
import { authorityKeyExtension, extension, keyUsageExtension, serials, subjectOf } from './template-parts.ts';

export { issueX509Authority, type X509AuthorityRequest } from './authority-template.ts';
export type { SignTbs, X509Signer } from './signer.ts';

/** What goes into one SVID. Times are milliseconds since 1970; certificates hold whole seconds. */
export interface X509SvidRequest {
  readonly id: SpiffeId;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  readonly notBefore: number;
  /** Clamped to the authority's own expiry. */
  readonly notAfter: number;
  readonly dnsNames?: readonly string[];
  /**
   * The name of the subject, DER. Default: our own, with the first DNS name as common name. Where it is empty, the alternative
   * names are critical (RFC 5280 4.1.2.6).
   */
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
    const subject = request.subject ?? (dnsNames[0] === undefined ? anonymous : subjectOf(dnsNames[0]));
    builder.clear();
    putSubjectAltName(builder, request.id, dnsNames, subject.length === 2);
    putSubjectKey(builder, request.publicKeyInfo);
    builder.put(fixedExtensions);
    builder.close(Tag.sequence, 0);
    builder.close(0xa3, 0);
    builder.put(request.publicKeyInfo);
    builder.put(subject);
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

const TRUE = der.boolean(true);
const SUBJECT_ALT_NAME = der.objectIdentifier(Oid.subjectAltName);
const SUBJECT_KEY_IDENTIFIER = der.objectIdentifier(Oid.subjectKeyIdentifier);

function putSubjectAltName(
  builder: DerBuilder,
  id: SpiffeId,
  dnsNames: readonly string[],
  critical: boolean,
): void {
  const mark = builder.length;
  builder.ascii(0x86, id);
  for (let index = dnsNames.length - 1; index >= 0; index--) builder.ascii(0x82, dnsNames[index]!);
  builder.close(Tag.sequence, mark);
  builder.close(Tag.octetString, mark);
  if (critical) builder.put(TRUE);
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
