// A public key infrastructure of somebody else, for tests: CAs and certificates that are no SVIDs, made by an
// implementation that is not ours.
import { Buffer } from 'node:buffer';
import { KeyObject, webcrypto } from 'node:crypto';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type JsonGeneralNames,
} from '@peculiar/x509';

type Keys = Awaited<ReturnType<typeof generate>>;

/** A certificate with its key. */
export interface PkiCertificate {
  readonly der: Uint8Array;
  readonly subject: string;
  readonly keys: Keys;
  readonly privateKey: KeyObject;
}

/** What a certificate says. */
export interface PkiRequest {
  readonly subject: string;
  readonly issuer?: PkiCertificate;
  readonly ca?: boolean;
  readonly names?: JsonGeneralNames;
  readonly usage?: KeyUsageFlags;
  readonly notAfter?: number;
  readonly algorithm?: 'P-256' | 'P-384' | 'RSA-2048';
}

export async function pkiCertificate(request: PkiRequest): Promise<PkiCertificate> {
  const { subject, issuer, ca = false, names = [], notAfter = Date.now() + 3_600_000 } = request;
  const keys = await generate(request.algorithm ?? 'P-256');
  const usage = request.usage ?? (ca ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature);
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer: issuer?.subject ?? subject,
      publicKey: keys.publicKey,
      signingKey: (issuer?.keys ?? keys).privateKey,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(notAfter),
      extensions: [
        new BasicConstraintsExtension(ca, undefined, true),
        new KeyUsagesExtension(usage, true),
        ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    der: new Uint8Array(certificate.rawData),
    subject,
    keys,
    privateKey: KeyObject.from(
      await webcrypto.subtle.importKey('pkcs8', pkcs8, keys.privateKey.algorithm, true, ['sign']),
    ),
  };
}

async function generate(algorithm: 'P-256' | 'P-384' | 'RSA-2048') {
  const parameters =
    algorithm === 'RSA-2048'
      ? {
          name: 'RSASSA-PKCS1-v1_5',
          hash: 'SHA-256',
          modulusLength: 2_048,
          publicExponent: Uint8Array.of(1, 0, 1),
        }
      : { name: 'ECDSA', namedCurve: algorithm };
  return webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify']);
}

/** The KeyUsage of a certificate that must not sign data. */
export const KEY_ENCIPHERMENT = KeyUsageFlags.keyEncipherment;
