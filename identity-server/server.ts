// Builds the server from its configuration and runs it: store, authority, view, services, listeners, in this order.
import { join } from 'node:path';
import { nodeAttestorServers } from '../attestors/node/server-catalog.ts';
import { makePrivateFolder } from '../daemon/files.ts';
import { GrpcServer } from '../daemon/grpc/server.ts';
import { listenTls } from '../daemon/grpc/tls-listener.ts';
import { listenGrpcUnix } from '../daemon/grpc/unix-listener.ts';
import { openDiskKeyManager } from '../daemon/key-manager/disk.ts';
import type { Logger } from '../daemon/log.ts';
import type { X509BundleSource } from '../sdk/bundle/x509-bundle.ts';
import { trustDomainOf } from '../sdk/spiffe-id.ts';
import type { Caller } from './api/caller.ts';
import { createGuard } from './api/guard.ts';
import { requestLog } from './api/request-log.ts';
import { addServices } from './api/services.ts';
import { ServerSvid, serverIdOf } from './ca/server-svid.ts';
import { taintOf } from './ca/bundle-changes.ts';
import { openCertificateAuthority } from './ca/certificate-authority.ts';
import type { IdentityServerConfig } from './config.ts';
import { openRegistry } from './entry/registry.ts';
import { startMaintenance } from './maintenance.ts';
import { openSqliteStore } from './store/sqlite/sqlite-store.ts';

/** What a server needs besides its configuration. */
export interface IdentityServerOptions {
  readonly log: Logger;
  readonly now?: () => number;
}

/** A server that is up. */
export interface IdentityServer extends AsyncDisposable {
  /** The TCP port that was bound. */
  readonly port: number;
  readonly socketPath: string;
}

const STRANGER_LIMITS = { streams: 8, messageBytes: 128 * 1024, idle: 60_000, age: 300_000 };

// SPIRE's default.
const REFRESH_HINT = 300;

/** Only the owner of the process may administer it; give others a group and a folder of their own to change that. */
const SOCKET_MODE = 0o600;

/**
 * Starts the server.
 *
 * @throws Error that names the file, folder, address or key that is at fault and what to do.
 */
export async function startIdentityServer(
  config: IdentityServerConfig,
  { log, now = Date.now }: IdentityServerOptions,
): Promise<IdentityServer> {
  const { trust_domain: trustDomain, data_dir: folder, ca_key_type: keyType } = config;
  await using started = new AsyncDisposableStack();
  await makePrivateFolder(folder);
  const store = started.use(await openSqliteStore({ folder, trustDomain }));
  const keys = await openDiskKeyManager(join(folder, 'keys.json'));
  const ca = await openCertificateAuthority({ ...authorityOptions(config), keys, store, log, now });
  const registry = started.use(await openRegistry({ store, serverId: serverIdOf(trustDomain), now }));

  const svid = new ServerSvid({
    trustDomain,
    ca,
    keyType,
    ttl: config.default_x509_svid_ttl,
    isTainted: (id) => taintOf(registry.bundles.bundle(trustDomain), 'x509', id) === true,
    now,
  });

  const grpc = new GrpcServer<Caller>({
    log,
    guard: createGuard({ registry, store, now }),
    onCall: requestLog(log),
    // Without an SVID one can attest and fetch the bundle: small messages, soon done.
    isStranger: (caller) => caller.kind === 'tls' && caller.svid === undefined,
    strangerLimits: STRANGER_LIMITS,
  });
  started.defer(() => grpc.close());
  addServices(grpc, {
    trustDomain,
    store,
    registry,
    ca,
    nodeAttestors: nodeAttestorServers({
      joinTokens: { take: (digest) => store.takeJoinToken(digest), now },
    }),
    agentTtl: config.agent_ttl,
    defaultX509SvidTtl: config.default_x509_svid_ttl,
    defaultJwtSvidTtl: config.default_jwt_svid_ttl,
    refreshHint: REFRESH_HINT,
    log,
    now,
  });

  const listener = await listenTls({
    ...config.listen,
    option: 'listen',
    identity: await svid.renew(),
    bundles: callerBundles(config, registry.bundles),
    log,
    now,
    onConnection: (socket, caller) => grpc.serve(socket, caller),
  });
  started.defer(() => listener.close());
  const closeSocket = await listenGrpcUnix<Caller>({
    path: config.socket_path,
    mode: SOCKET_MODE,
    option: 'socket_path',
    log,
    identify: () => ({ kind: 'local' }),
    onConnection: (socket, caller) => grpc.serve(socket, caller),
  });
  started.defer(closeSocket);
  const shortest = Math.min(config.ca_ttl, config.default_x509_svid_ttl);
  const rotationInterval = Math.min(10_000, Math.max(250, shortest / 20));
  started.defer(startMaintenance({ ca, svid, listener, store, registry, log, rotationInterval, now }));

  const parts = started.move();
  return {
    port: listener.port,
    socketPath: config.socket_path,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** The settings of the authorities. */
function authorityOptions(config: IdentityServerConfig) {
  const { ca_key_type: keyType, experimental } = config;
  return {
    trustDomain: config.trust_domain,
    ttl: config.ca_ttl,
    keyType,
    ...(!config.disable_jwt_svids && {
      jwt: { keyType: config.jwt_key_type ?? keyType, issuer: config.jwt_issuer },
    }),
    ...(experimental.wit_svids && {
      wit: { keyType: experimental.wit_key_type ?? keyType, issuer: experimental.wit_issuer },
    }),
  };
}

// Callers are of this trust domain, or of one that an administrator by configuration is of: nobody else from abroad has
// anything to do here, whatever this trust domain federates with.
function callerBundles(config: IdentityServerConfig, bundles: X509BundleSource): X509BundleSource {
  const welcome = new Set([config.trust_domain, ...config.admin_ids.map(trustDomainOf)]);
  return { x509Bundle: (name) => (welcome.has(name) ? bundles.x509Bundle(name) : undefined) };
}
