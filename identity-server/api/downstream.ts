// NewDownstreamX509CA: a server below this one gets a signing certificate of the same trust domain.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { NewDownstreamX509CARequest } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { isExpired } from '../entry/authorized.ts';
import { agentIdOf, type Context } from './caller.ts';
import { reading, secondsOf } from './convert.ts';
import { agentCsr } from './csr.ts';
import type { ServiceOptions } from './services.ts';

export async function newDownstreamCa(
  { csr, preferredTtl }: NewDownstreamX509CARequest,
  context: Context,
  { registry, trustDomain, ca, now }: ServiceOptions,
): Promise<{ caCertChain: Uint8Array[]; x509Authorities: Uint8Array[] }> {
  const seconds = secondsOf(now());
  const entry = [...registry.entries.granting(agentIdOf(context))].find(
    (candidate) => candidate.downstream && !isExpired(candidate, seconds),
  );
  if (entry === undefined) throw new RpcError('PERMISSION_DENIED', 'caller is not a downstream workload');
  if (csr.length === 0) throw new RpcError('INVALID_ARGUMENT', 'missing CSR');
  if (preferredTtl < 0) throw new RpcError('INVALID_ARGUMENT', 'the TTL must not be negative');
  const { publicKey } = reading(undefined, () => agentCsr(csr, trustDomain));
  const bundle = registry.bundles.bundle(trustDomain);
  if (bundle === undefined) throw new RpcError('NOT_FOUND', 'bundle not found');
  const ttl = preferredTtl > 0 ? preferredTtl : entry.x509SvidTtl;
  const { chain } = await ca.signDownstreamCa({ publicKey, ttl: ttl > 0 ? ttl * 1_000 : undefined });
  return {
    caCertChain: [...chain],
    x509Authorities: bundle.x509Authorities.map(({ certificate }) => certificate),
  };
}
