// Bundles from the server: its own trust domain's, and those that entries federate with.
import { status } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import type { Bundle as BundleMessage } from '../../sdk/api/gen/spire/api/types/bundle_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { hex, type ServerBundle } from '../authority-key.ts';
import { RPC_TIMEOUT } from '../node-attestation/server-connection.ts';

const MASK = { x509Authorities: true, sequenceNumber: true };
const AT_ONCE = 8;

/**
 * The bundle of the agent's own trust domain.
 *
 * @throws Error also if it is empty: an agent must never forget whom it trusts.
 */
export async function fetchBundle(
  client: GrpcClient,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<ServerBundle> {
  const options = { timeout: RPC_TIMEOUT, signal };
  const message = await client.unary(Bundle.method.getBundle, { outputMask: MASK }, options);
  const bundle = x509BundleOf(message, trustDomain);
  if (bundle.authorities.length === 0) throw new Error('the server answered with an empty trust bundle');
  return bundle;
}

/** The bundles of other trust domains; one that the server does not have is left out. */
export async function fetchFederatedBundles(
  client: GrpcClient,
  trustDomains: readonly TrustDomain[],
  signal: AbortSignal,
): Promise<Map<TrustDomain, Uint8Array>> {
  const bundles = new Map<TrustDomain, Uint8Array>();
  for (let start = 0; start < trustDomains.length; start += AT_ONCE) {
    await Promise.all(
      trustDomains.slice(start, start + AT_ONCE).map(async (trustDomain) => {
        const message = await fetchFederated(client, trustDomain, signal);
        if (message === undefined) return;
        const { authorities } = x509BundleOf(message, trustDomain);
        if (authorities.length > 0) bundles.set(trustDomain, concatenated(authorities));
      }),
    );
  }
  return bundles;
}

/** Certificates in the wire form of the Workload API. */
export function concatenated(certificates: readonly { readonly der: Uint8Array }[]): Uint8Array {
  return new Uint8Array(Buffer.concat(certificates.map(({ der }) => der)));
}

async function fetchFederated(
  client: GrpcClient,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<BundleMessage | undefined> {
  try {
    const request = { trustDomain, outputMask: MASK };
    return await client.unary(Bundle.method.getFederatedBundle, request, { timeout: RPC_TIMEOUT, signal });
  } catch (error) {
    if ((error as { code?: unknown }).code === status.NOT_FOUND) return undefined;
    throw error;
  }
}

/**
 * Reads a bundle.
 *
 * @throws Error if it is of another trust domain, or malformed.
 */
export function x509BundleOf(message: BundleMessage, trustDomain: TrustDomain): ServerBundle {
  if (message.trustDomain !== trustDomain && message.trustDomain !== `spiffe://${trustDomain}`) {
    throw new Error(`the server answered with the bundle of ${message.trustDomain}, not of ${trustDomain}`);
  }
  const authorities = message.x509Authorities.map(({ asn1 }) => parseCertificate(asn1));
  const untainted = new Set<string>();
  for (const [index, { extensions }] of authorities.entries()) {
    if (!message.x509Authorities[index]!.tainted) untainted.add(hex(extensions.subjectKeyIdentifier));
  }
  // Of an authority without an identifier it cannot be said what hangs on it.
  untainted.delete('');
  return { trustDomain, authorities, untainted };
}
