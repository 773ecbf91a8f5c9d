// Bundles on the wire, in both directions, and what a mask leaves of one.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { messageOf, SpiffeError } from '../../sdk/error.ts';
import { readPublicKey } from '../../sdk/x509-svid/public-key.ts';
import type {
  Bundle as BundleMessage,
  BundleMask,
  BundleSchema,
  JWTKey,
  WITKey,
  X509Certificate,
} from '../../sdk/api/gen/spire/api/types/bundle_pb.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import type { Bundle, BundleCertificate, BundleKey } from '../store/store.ts';
import { MAX_SECONDS } from './convert.ts';

type Field = Exclude<keyof BundleMask, '$typeName' | '$unknown'>;

/** A bundle as a message; a mask that is absent lets everything through, the trust domain is always there. */
export function bundleMessage(
  bundle: Bundle,
  mask: BundleMask | undefined,
): MessageInitShape<typeof BundleSchema> {
  const has = (field: Field) => mask === undefined || mask[field];
  return {
    trustDomain: bundle.trustDomain,
    x509Authorities: has('x509Authorities')
      ? bundle.x509Authorities.map(({ certificate, tainted }) => ({ asn1: certificate, tainted }))
      : [],
    jwtAuthorities: has('jwtAuthorities') ? bundle.jwtAuthorities.map(keyMessage) : [],
    witAuthorities: has('witAuthorities') ? bundle.witAuthorities.map(keyMessage) : [],
    refreshHint: has('refreshHint') ? BigInt(bundle.refreshHint) : 0n,
    sequenceNumber: has('sequenceNumber') ? bundle.sequence : 0n,
  };
}

export function keyMessage({ id, publicKey, expiresAt, tainted }: BundleKey) {
  return { keyId: id, publicKey, expiresAt: BigInt(expiresAt), tainted };
}

/**
 * Reads a bundle. Nobody else's word counts on what is tainted, and of others there are no WIT keys.
 *
 * @throws Error with what is wrong.
 */
export function bundleOf(message: BundleMessage): Bundle {
  const trustDomain = named('trust domain argument is not valid', () =>
    parseTrustDomain(message.trustDomain),
  );
  return {
    trustDomain,
    x509Authorities: certificatesOf(message.x509Authorities),
    jwtAuthorities: keysOf(message.jwtAuthorities, 'JWT'),
    witAuthorities: [],
    refreshHint: secondsOf(message.refreshHint, 'refresh hint'),
    sequence: message.sequenceNumber,
  };
}

/** Those parts of `input` that a mask names, over `before`; an absent mask names all. */
export function mergedBundle(before: Bundle, input: Bundle, mask: BundleMask | undefined): Bundle {
  if (mask === undefined) return { ...input, witAuthorities: before.witAuthorities };
  return {
    ...before,
    ...(mask.x509Authorities && { x509Authorities: input.x509Authorities }),
    ...(mask.jwtAuthorities && { jwtAuthorities: input.jwtAuthorities }),
    ...(mask.refreshHint && { refreshHint: input.refreshHint }),
    ...(mask.sequenceNumber && { sequence: input.sequence }),
  };
}

export function certificatesOf(messages: readonly X509Certificate[]): BundleCertificate[] {
  return messages.map(({ asn1 }) =>
    named('failed to convert X.509 authority', () => {
      if (asn1.length === 0) throw new Error('missing X.509 certificate');
      if (parseCertificate(asn1).extensions.basicConstraints?.ca !== true) {
        throw new Error('the certificate is not a signing certificate');
      }
      return { certificate: asn1, tainted: false };
    }),
  );
}

export function keysOf(messages: readonly (JWTKey | WITKey)[], kind: 'JWT' | 'WIT'): BundleKey[] {
  return messages.map((message) => named(`failed to convert ${kind} authority`, () => keyOf(message)));
}

/**
 * Reads a JWT or WIT key.
 *
 * @throws Error with what is wrong.
 */
export function keyOf({ keyId, publicKey, expiresAt }: JWTKey | WITKey): BundleKey {
  if (publicKey.length === 0) throw new Error('missing public key');
  if (keyId === '') throw new Error('missing key ID');
  if (keyId.length > 1_024) throw new Error('the key ID is longer than 1024 characters');
  const key = readPublicKey(publicKey, 'ERR_BUNDLE');
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw new SpiffeError('ERR_BUNDLE', `no allowed algorithm uses a key of type ${key.asymmetricKeyType}`);
  }
  return { id: keyId, publicKey, expiresAt: secondsOf(expiresAt, 'expiry'), tainted: false };
}

function secondsOf(value: bigint, what: string): number {
  if (value < 0n || value > MAX_SECONDS) throw new Error(`the ${what} is no number of seconds`);
  return Number(value);
}

function named<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
  }
}
