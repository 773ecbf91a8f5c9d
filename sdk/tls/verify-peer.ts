// Judges the peer of a TLS connection, resumed ones too, with today's time and bundles (X509-SVID 5; Workload API 4.6).
import type { TLSSocket } from 'node:tls';
import { verifyX509Svid, type VerifiedX509Svid } from '../x509-svid/verify.ts';
import { expectNoVerdict } from './authorizer.ts';
import type { MutualTlsOptions } from './options.ts';
import { sentChain } from './sent-chain.ts';

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
