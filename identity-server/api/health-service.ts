// gRPC health checking, on the local socket: serving means that the bundle can be read and something can be signed.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../sdk/api/gen/grpc/health/v1/health_pb.ts';
import type { Caller } from './caller.ts';
import type { ServiceOptions } from './services.ts';

export function healthService({
  registry,
  trustDomain,
  ca,
  now,
}: Pick<ServiceOptions, 'registry' | 'trustDomain' | 'ca' | 'now'>): Handlers<typeof Health, Caller> {
  return {
    async check({ service }) {
      if (service !== '') throw new RpcError('INVALID_ARGUMENT', 'per-service health is not supported');
      const { active } = ca.x509;
      const canSign = active !== undefined && now() < active.record.notAfter;
      const isServing = canSign && registry.bundles.bundle(trustDomain) !== undefined;
      return { status: isServing ? Status.SERVING : Status.NOT_SERVING };
    },
  };
}
