// TLS settings towards peers: what we present, and who is accepted. There is no accepting everybody.
import { SpiffeError } from '../../sdk/error.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { TlsMaterial, TlsSettings } from '../transport/socket.ts';

/** Our identity and the bundles that peers are judged by; a source, so that both rotate. */
export interface IdentitySource extends X509BundleSource {
  /** Throws if there is none to present. The object changes exactly when the identity does. */
  current(): TlsMaterial;
}

/** For a listener: every identity that a known trust domain vouches for; what it may do is for the policy. */
export function acceptMesh(source: IdentitySource, now: () => number): TlsSettings {
  return {
    material: () => source.current(),
    verify: (chain) => verifyX509Svid(chain, source, { now: now() }),
  };
}

/**
 * For an upstream: these identities and no other. A valid SVID of another service is refused at the handshake, before a
 * byte of the request leaves.
 */
export function acceptOnly(
  accepted: readonly SpiffeId[],
  source: IdentitySource,
  now: () => number,
): TlsSettings {
  if (accepted.length === 0) throw new TypeError('an upstream must name the SPIFFE IDs it accepts');
  const ids = new Set<string>(accepted);
  return {
    material: () => source.current(),
    verify(chain) {
      const peer = verifyX509Svid(chain, source, { now: now() });
      if (ids.has(peer.id)) return peer;
      const list = accepted.join(', ');
      throw new SpiffeError('ERR_SVID_UNEXPECTED_ID', `the upstream is ${peer.id}; accepted: ${list}`, {
        detail: { seen: peer.id, accepted: list },
      });
    },
  };
}
