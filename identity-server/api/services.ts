// What the services need from the rest of the server, and the one place that registers them.
import type { DescService } from '@bufbuild/protobuf';
import type { GrpcServer, Handlers } from '../../daemon/grpc/server.ts';
import type { Logger as Log } from '../../daemon/log.ts';
import type { NodeAttestorServer } from '../../attestors/node/node-attestor-server.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { Debug } from '../../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { Health } from '../../sdk/api/gen/grpc/health/v1/health_pb.ts';
import { LocalAuthority } from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { Logger } from '../../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { TrustDomain } from '../../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import type { TrustDomain as TrustDomainName } from '../../sdk/spiffe-id.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { Registry } from '../entry/registry.ts';
import type { Store } from '../store/store.ts';
import { scoped } from '../administration/scoped-handlers.ts';
import { explainService } from '../explain/service.ts';
import { Explain } from '../../sdk/api/gen/sigil/explain/v1/explain_pb.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import { agentService } from './agent-service.ts';
import { bundleService } from './bundle-service.ts';
import type { Caller } from './caller.ts';
import { entryService } from './entry-service.ts';
import { debugService, type DebugOptions } from './debug-service.ts';
import { healthService } from './health-service.ts';
import { layered, type Layers } from './layers.ts';
import { localAuthorityService } from './local-authority-service.ts';
import { loggerService } from './logger-service.ts';
import type { PushHub } from '../push/hub.ts';
import { syncService } from '../push/service.ts';
import { Sync } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { svidService } from './svid-service.ts';
import { trustDomainService } from './trust-domain-service.ts';

/** The parts of the server that requests reach. Durations are milliseconds. */
export interface ServiceOptions {
  readonly trustDomain: TrustDomainName;
  readonly store: Store;
  readonly registry: Registry;
  readonly ca: CertificateAuthority;
  readonly nodeAttestors: ReadonlyMap<string, NodeAttestorServer>;
  readonly agentTtl: number;
  readonly defaultX509SvidTtl: number;
  readonly defaultJwtSvidTtl: number;
  /** Seconds: how often consumers of the bundle should ask again. */
  readonly refreshHint: number;
  readonly log: Log;
  readonly now: () => number;
}

/** What the services on the local socket alone need besides. */
export interface AddServicesOptions extends ServiceOptions, Pick<DebugOptions, 'ownSvid'> {
  readonly layers: Layers;
  readonly push: PushHub;
  /** Everybody whom the configuration makes an administrator, with limits or without. */
  readonly administrators: ReadonlySet<SpiffeId>;
}

export function addServices(server: GrpcServer<Caller>, options: AddServicesOptions): void {
  const add = <Service extends DescService>(service: Service, handlers: Handlers<Service, Caller>) =>
    server.add(service, layered(service, scoped(service, handlers, options), options.layers));
  add(Agent, agentService(options));
  add(Entry, entryService(options));
  add(SVID, svidService(options));
  add(Bundle, bundleService(options));
  add(TrustDomain, trustDomainService(options));
  add(LocalAuthority, localAuthorityService(options));
  add(Sync, syncService(options.push));
  add(Explain, explainService(options));
  // For the local socket: on TCP, the guard says that they do not exist.
  add(Logger, loggerService(options));
  add(Debug, debugService(options));
  add(Health, healthService(options));
}
