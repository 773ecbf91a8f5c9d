// The Bundle service: the roots of the own trust domain, for anybody who asks.
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import type { Caller } from './caller.ts';
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
  };
}
