// The Bundle service: the roots of the own trust domain, for anybody who asks. Of others there are none yet.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import type { Caller } from './caller.ts';
import { reading } from './convert.ts';
import type { ServiceOptions } from './services.ts';

// Seconds: how often a consumer should ask again (SPIRE's default).
const REFRESH_HINT = 300n;

export function bundleService({ ca, trustDomain }: ServiceOptions): Handlers<typeof Bundle, Caller> {
  return {
    async getBundle({ outputMask: mask }) {
      const { sequence, authorities } = ca.bundle;
      return {
        trustDomain,
        x509Authorities: (mask?.x509Authorities ?? true) ? authorities.map(({ der }) => ({ asn1: der })) : [],
        refreshHint: (mask?.refreshHint ?? true) ? REFRESH_HINT : 0n,
        sequenceNumber: (mask?.sequenceNumber ?? true) ? BigInt(sequence) : 0n,
      };
    },
    // Agents ask for the bundle of each trust domain that an entry federates with, and live with NOT_FOUND.
    async getFederatedBundle({ trustDomain: name }) {
      if (reading('trust domain argument is not valid', () => parseTrustDomain(name)) === trustDomain) {
        throw new RpcError(
          'INVALID_ARGUMENT',
          "getting a federated bundle for the server's own trust domain is not allowed",
        );
      }
      throw new RpcError('NOT_FOUND', 'bundle not found');
    },
  };
}
