// Judges the peer of a TLS connection, resumed ones too, with today's time and bundles (X509-SVID 5; Workload API 4.6).
import type { TLSSocket } from 'node:tls';
import { verifyX509Svid, type VerifiedX509Svid } from '../x509-svid/verify.ts';
import { expectNoVerdict } from './authorizer.ts';
import type { MutualTlsOptions } from './options.ts';

// The verifier has a lower limit of its own; this one only bounds the walk.
const MAX_SENT_CERTIFICATES = 16;

/** What {@link verifyPeer} needs. */
export type VerifyPeerOptions = Pick<MutualTlsOptions, 'source' | 'authorize' | 'now'>;

/**
 * Verifies and authorizes the peer of a TLS connection whose handshake is done. Synchronous: call it in the handshake's
 * own callback, before anything is read or written. The runtime's verdict is not asked.
 *
 * @throws SpiffeError every code of `verifyX509Svid`, and what `authorize` throws.
 */
export function verifyPeer(socket: TLSSocket, options: VerifyPeerOptions): VerifiedX509Svid {
  return verifyChain(sentChain(socket), options);
}

/** Verifies and authorizes a chain, DER, leaf first. */
export function verifyChain(chain: readonly Uint8Array[], options: VerifyPeerOptions): VerifiedX509Svid {
  const peer = verifyX509Svid(chain, options.source, { now: options.now?.() });
  expectNoVerdict(options.authorize(peer.id, peer));
  return peer;
}

interface CertificateNode {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: CertificateNode;
}

/**
 * The certificates that the peer sent, leaf first, as DER; empty if none. Node gives one issuer of each certificate and not
 * all that was sent: of two intermediates of one name and key, it shows the first alone.
 */
export function sentChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<CertificateNode>();
  // Null where the peer sent none (Bun), an empty object elsewhere.
  let node = (socket.getPeerCertificate(true) ?? undefined) as CertificateNode | undefined;
  while (node?.raw !== undefined && !seen.has(node) && chain.length < MAX_SENT_CERTIFICATES) {
    seen.add(node);
    chain.push(new Uint8Array(node.raw));
    node = node.issuerCertificate;
  }
  return chain;
}
