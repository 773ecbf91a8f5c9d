// What the services need from the rest of the server, and the one place that registers them.
import type { GrpcServer } from '../../daemon/grpc/server.ts';
import type { Logger } from '../../daemon/log.ts';
import type { NodeAttestorServer } from '../../attestors/node/node-attestor-server.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { Registry } from '../entry/registry.ts';
import type { Store } from '../store/store.ts';
import { agentService } from './agent-service.ts';
import { bundleService } from './bundle-service.ts';
import type { Caller } from './caller.ts';
import { entryService } from './entry-service.ts';
import { svidService } from './svid-service.ts';

/** The parts of the server that requests reach. Durations are milliseconds. */
export interface ServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly store: Store;
  readonly registry: Registry;
  readonly ca: CertificateAuthority;
  readonly nodeAttestors: ReadonlyMap<string, NodeAttestorServer>;
  readonly agentTtl: number;
  readonly defaultX509SvidTtl: number;
  readonly defaultJwtSvidTtl: number;
  /** Seconds: how often consumers of the bundle should ask again. */
  readonly refreshHint: number;
  readonly log: Logger;
  readonly now: () => number;
}

export function addServices(server: GrpcServer<Caller>, options: ServiceOptions): void {
  server
    .add(Agent, agentService(options))
    .add(Entry, entryService(options))
    .add(SVID, svidService(options))
    .add(Bundle, bundleService(options));
}
