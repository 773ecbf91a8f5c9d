// Certificates in every variation, made by @peculiar/x509: an implementation that is not ours.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { expect } from 'vitest';
import { parseX509Bundle, x509BundleSet, type X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import { SpiffeError } from '../../sdk/error.ts';
import { ascii, concat, element, sequence } from '../../sdk/x509-svid/der-writer.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';

x509.cryptoProvider.set(webcrypto);
export { x509 };

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR = 3_600_000;
const { digitalSignature, keyCertSign } = x509.KeyUsageFlags;

/** A certificate and its keys. */
export interface Made {
  readonly der: Uint8Array;
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** What differs from a good certificate. */
export interface Variation {
  readonly issuer?: Made;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly sanCritical?: boolean;
  /** KeyUsage bits; null leaves the extension out. */
  readonly keyUsage?: x509.KeyUsageFlags | null;
  /** cA; null leaves the extension out. */
  readonly ca?: boolean | null;
  readonly pathLength?: number;
  /** Extended key usages. */
  readonly purposes?: readonly string[];
  readonly extra?: readonly x509.Extension[];
  readonly subject?: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly algorithm?: 'Ed25519';
}

const generate = async (algorithm?: 'Ed25519') =>
  (await webcrypto.subtle.generateKey(algorithm ?? P256, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;

async function make(over: Variation): Promise<Made> {
  const keys = await generate(over.algorithm);
  const subject = over.subject ?? `O=test,2.5.4.5=${Math.floor(Math.random() * 2 ** 48)}`;
  const names = [
    ...(over.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(over.uris ?? []).map((value) => ({ type: 'url' as const, value })),
  ];
  const extensions: x509.Extension[] = [...(over.extra ?? [])];
  if (names.length > 0)
    extensions.push(new x509.SubjectAlternativeNameExtension(names, over.sanCritical ?? false));
  if (typeof over.ca === 'boolean')
    extensions.push(new x509.BasicConstraintsExtension(over.ca, over.pathLength, true));
  if (over.keyUsage !== null && over.keyUsage !== undefined)
    extensions.push(new x509.KeyUsagesExtension(over.keyUsage, true));
  if (over.purposes !== undefined) extensions.push(new x509.ExtendedKeyUsageExtension([...over.purposes]));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '0a1b',
    subject,
    issuer: over.issuer?.certificate.subject ?? subject,
    notBefore: new Date(Date.now() + (over.notBefore ?? -HOUR)),
    notAfter: new Date(Date.now() + (over.notAfter ?? HOUR)),
    publicKey: keys.publicKey,
    signingKey: (over.issuer?.keys ?? keys).privateKey,
    signingAlgorithm: P256,
    extensions,
  });
  return { certificate, keys, der: new Uint8Array(certificate.rawData) };
}

/** A signing certificate of `example.org`, self-signed unless an issuer is given. */
export function authority(over: Variation = {}): Promise<Made> {
  return make({ uris: ['spiffe://example.org'], ca: true, keyUsage: keyCertSign, ...over });
}

/** A leaf of `spiffe://example.org/web`. */
export function leafOf(issuer: Made, over: Variation = {}): Promise<Made> {
  return make({ issuer, uris: ['spiffe://example.org/web'], ca: false, keyUsage: digitalSignature, ...over });
}

/** Name constraints: `permitted` and `excluded` as pairs of tag and base. */
export function nameConstraints(
  permitted: readonly (readonly [tag: number, base: string])[],
  excluded: readonly (readonly [tag: number, base: string])[] = [],
): x509.Extension {
  const trees = (tag: number, list: readonly (readonly [number, string])[]) =>
    list.length === 0
      ? []
      : [element(tag, ...list.map(([form, base]) => sequence(element(form, ascii(base)))))];
  const value = sequence(...trees(0xa0, permitted), ...trees(0xa1, excluded));
  return new x509.Extension('2.5.29.30', true, new Uint8Array(value));
}

/** A source with one bundle of `trustDomain`. */
export function bundlesOf(authorities: readonly Made[], trustDomain = 'example.org'): X509BundleSource {
  return x509BundleSet([parseX509Bundle(trustDomain, concat(authorities.map(({ der }) => der)))]);
}

/** The verdict on a chain: `accepted`, or the code of the refusal. */
export function verdict(chain: readonly Made[], bundles: X509BundleSource): string {
  return codeOf(() =>
    verifyX509Svid(
      chain.map(({ der }) => der),
      bundles,
    ),
  );
}

/** The private key of `made` as PKCS#8. */
export async function pkcs8Of(made: Made): Promise<Uint8Array> {
  return new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', made.keys.privateKey));
}

/** The verdict on loading an SVID of one's own. */
export async function loadVerdict(chain: readonly Made[]): Promise<string> {
  const key = await pkcs8Of(chain[0]!);
  return codeOf(() => parseX509Svid(concat(chain.map(({ der }) => der)), key));
}

/** `accepted`, or the code of the SpiffeError that was thrown; anything else that is thrown fails the test. */
export function codeOf(act: () => unknown): string {
  try {
    act();
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(SpiffeError);
    return (error as SpiffeError).code;
  }
}
