// Certificate requests with whatever names a test wants, made by an implementation that is not ours.
import { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import {
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509Certificate,
  type Pkcs10CertificateRequestCreateParams,
} from '@peculiar/x509';

/** What a request says. */
export interface CsrNames {
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly subject?: string;
}

/** A request for a fresh key, as DER. */
export async function csrWith({ uris = [], dns = [], subject }: CsrNames): Promise<Uint8Array> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const names = [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...dns.map((value) => ({ type: 'dns' as const, value })),
  ];
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      name: subject,
      keys: keys as Pkcs10CertificateRequestCreateParams['keys'],
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)],
    },
    webcrypto,
  );
  return new Uint8Array(request.rawData);
}

/** The subject of a certificate as text. */
export function subjectOf(der: Uint8Array): string {
  return new X509Certificate(new Uint8Array(der)).subject;
}
