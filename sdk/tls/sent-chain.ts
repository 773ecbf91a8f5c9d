// The certificates that the peer of a TLS connection sent.
import type { TLSSocket } from 'node:tls';

// The verifier has a lower limit of its own; this one only bounds the walk.
const MAX_SENT_CERTIFICATES = 16;

interface CertificateNode {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: CertificateNode;
}

/**
 * The DER certificates, leaf first, of the linked list that `getPeerCertificate` gives on every runtime. Bounded, and ends
 * at a loop. Without a certificate the list is null (Bun) or an empty object.
 */
export function chainFrom(leaf: unknown): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<CertificateNode>();
  let node = leaf as CertificateNode | null | undefined;
  while (node?.raw !== undefined && !seen.has(node) && chain.length < MAX_SENT_CERTIFICATES) {
    seen.add(node);
    chain.push(new Uint8Array(node.raw));
    node = node.issuerCertificate;
  }
  return chain;
}

/**
 * The certificates that the peer sent, leaf first, as DER; empty if none. Node gives one issuer of each certificate and not
 * all that was sent: of two intermediates of one name and key, it shows the first alone.
 */
export function sentChain(socket: TLSSocket): Uint8Array[] {
  return chainFrom(socket.getPeerCertificate(true));
}
