// The Debug service: how the server is, in numbers.
import { Buffer } from 'node:buffer';
import { X509Certificate } from 'node:crypto';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Debug } from '../../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { parseSpiffeId } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import type { SignedX509Svid } from '../ca/certificate-authority.ts';
import type { Caller } from './caller.ts';
import { idMessage } from './convert.ts';
import type { ServiceOptions } from './services.ts';

/** What is asked about besides the registry. */
export interface DebugOptions extends Pick<ServiceOptions, 'registry' | 'trustDomain' | 'now'> {
  /** The server's own SVID. */
  readonly ownSvid: () => SignedX509Svid | undefined;
}

export function debugService(options: DebugOptions): Handlers<typeof Debug, Caller> {
  const { registry, trustDomain, now, ownSvid } = options;
  const startedAt = now();
  return {
    async getInfo() {
      const foreign = registry.bundles.bundles().filter((bundle) => bundle.trustDomain !== trustDomain);
      return {
        svidChain: (ownSvid()?.chain ?? []).map(certMessage),
        uptime: Math.max(0, Math.floor((now() - startedAt) / 1_000)),
        agentsCount: [...registry.nodes()].length,
        entriesCount: registry.entries.size,
        federatedBundlesCount: foreign.length,
      };
    },
  };
}

function certMessage(der: Uint8Array) {
  const { extensions, notAfter } = parseCertificate(der);
  const [uri] = extensions.subjectAltName?.uris ?? [];
  return {
    id: uri === undefined ? undefined : idMessage(parseSpiffeId(uri)),
    expiresAt: BigInt(Math.floor(notAfter / 1_000)),
    // As Go writes names: the last part first, with commas.
    subject: new X509Certificate(Buffer.from(der)).subject.split('\n').toReversed().join(','),
  };
}
