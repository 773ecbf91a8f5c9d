// Issues signing certificates (X509-SVID 3 and 4): self-signed, or by an authority above.
import type { KeyObject } from 'node:crypto';
import { trustDomainId, type TrustDomain } from '../spiffe-id.ts';
import { hexOf } from './certificate.ts';
import * as der from './der-writer.ts';
import { Oid } from './object-identifiers.ts';
import { signatureAlgorithmFor } from './signature.ts';
import type { SignTbs, X509Signer } from './signer.ts';
import {
  authorityKeyExtension,
  extension,
  keyUsageExtension,
  nameOf,
  serials,
  subjectAltNameExtension,
  subjectKeyExtension,
} from './template-parts.ts';

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
