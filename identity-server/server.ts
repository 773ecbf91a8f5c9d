// Builds the server from its configuration and runs it: store, authority, view, services, listeners, in this order.
import { join } from 'node:path';
import { makePrivateFolder } from '../daemon/files.ts';
import { RpcError } from '../daemon/grpc/rpc-error.ts';
import { GrpcServer } from '../daemon/grpc/server.ts';
import { listenTls } from '../daemon/grpc/tls-listener.ts';
import { listenGrpcUnix } from '../daemon/grpc/unix-listener.ts';
import { openDiskKeyManager } from '../daemon/key-manager/disk.ts';
import type { Logger } from '../daemon/log.ts';
import { delay } from '../sdk/backoff.ts';
import type { X509BundleSource } from '../sdk/bundle/x509-bundle.ts';
import { trustDomainOf, type TrustDomain } from '../sdk/spiffe-id.ts';
import { createAudit } from './api/audit.ts';
import type { Caller } from './api/caller.ts';
import { createGuard } from './api/guard.ts';
import { requestLog } from './api/request-log.ts';
import { createThrottle, type RateLimits } from './api/rate-limits.ts';
import { addServices } from './api/services.ts';
import { ServerSvid, serverIdOf } from './ca/server-svid.ts';
import { taintOf } from './ca/bundle-changes.ts';
import { openCertificateAuthority, type CertificateAuthority } from './ca/certificate-authority.ts';
import type { IdentityServerConfig } from './config.ts';
import { openRegistry, type Registry } from './entry/registry.ts';
import { startMaintenance } from './maintenance.ts';
import { createScopes } from './administration/config.ts';
import { PushHub } from './push/hub.ts';
import { createNodeAttestors } from './node-attestors.ts';
import { openServerName } from './server-name.ts';
import { StoreUnavailableError } from './store/errors.ts';
import { openStore } from './store/open-store.ts';

/** What a server needs besides its configuration. */
export interface IdentityServerOptions {
  readonly log: Logger;
  readonly now?: () => number;
  /** Ends the wait of a server that joins others. */
  readonly signal?: AbortSignal;
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

// Milliseconds between two looks at whether a new authority may sign.
const LOOK_INTERVAL = 200;

/**
 * Starts the server.
 *
 * @throws Error that names the file, folder, address or key that is at fault and what to do.
 */
export async function startIdentityServer(
  config: IdentityServerConfig,
  { log, now = Date.now, signal }: IdentityServerOptions,
): Promise<IdentityServer> {
  const { trust_domain: trustDomain, data_dir: folder, ca_key_type: keyType } = config;
  await using started = new AsyncDisposableStack();
  await makePrivateFolder(folder);
  const store = started.use(await openStore({ database: config.database, folder, trustDomain }));
  const keys = await openDiskKeyManager(join(folder, 'keys.json'));
  // The only server of its database needs no name.
  const server = config.database.type === 'sqlite' ? '' : await openServerName(folder);
  const ca = await openCertificateAuthority({ ...authorityOptions(config), server, keys, store, log, now });
  const registry = started.use(
    await openRegistry({
      store,
      serverId: serverIdOf(trustDomain),
      maxStaleness: config.max_staleness,
      log,
      now,
    }),
  );
  started.defer(followJournal(registry, ca, { log }));
  await authoritiesReady(ca, { log, signal });

  const svid = new ServerSvid({
    trustDomain,
    ca,
    keyType,
    ttl: config.default_x509_svid_ttl,
    // One that is not in the bundle at all, after the database was restored, is no better.
    isTainted: (id) => taintOf(registry.bundles.bundle(trustDomain), 'x509', id) !== false,
    now,
  });

  const push = started.use(new PushHub({ registry, trustDomain, refreshHint: REFRESH_HINT, now }));
  const adminIds = new Set(config.admin_ids);
  const scopes = createScopes(config.administrators, { trustDomain, adminIds });
  const administrators = new Set([...adminIds, ...scopes.keys()]);
  const grpc = new GrpcServer<Caller>({
    log,
    guard: createGuard({ registry, store, adminIds, scopes, now }),
    translate: (thrown) => unavailable(thrown, log),
    onCall: requestLog(log),
    // Without an SVID one can attest and fetch the bundle: small messages, soon done.
    isStranger: (caller) => caller.kind === 'tls' && caller.svid === undefined,
    strangerLimits: STRANGER_LIMITS,
  });
  started.defer(() => grpc.close());
  const nodeAttestors = await createNodeAttestors(config, { store, bundles: registry.bundles, now });
  addServices(grpc, {
    trustDomain,
    store,
    registry,
    ca,
    nodeAttestors,
    agentTtl: config.agent_ttl,
    defaultX509SvidTtl: config.default_x509_svid_ttl,
    defaultJwtSvidTtl: config.default_jwt_svid_ttl,
    refreshHint: REFRESH_HINT,
    ownSvid: () => svid.current,
    push,
    administrators,
    layers: {
      throttle: createThrottle(rateLimits(config)),
      audit: config.audit_log ? createAudit(log) : undefined,
    },
    log,
    now,
  });

  const listener = await listenTls({
    ...config.listen,
    option: 'listen',
    identity: await svid.renew(),
    bundles: callerBundles([trustDomain, ...[...administrators].map(trustDomainOf)], registry.bundles),
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

// A restored database knows another past of the authorities than this server does.
function followJournal(
  registry: Registry,
  ca: CertificateAuthority,
  options: Pick<IdentityServerOptions, 'log'>,
): () => void {
  const stopped = new AbortController();
  const reload = async () => {
    while (!stopped.signal.aborted) {
      try {
        await ca.reload();
        return await authoritiesReady(ca, { ...options, signal: stopped.signal });
      } catch (err) {
        if (stopped.signal.aborted) return;
        options.log.error({ err }, 'the authorities could not be read anew; it will be tried again');
        await delay(LOOK_INTERVAL, stopped.signal);
      }
    }
  };
  const unsubscribe = registry.subscribe(({ reset }) => {
    if (reset) void reload();
  });
  return () => {
    stopped.abort();
    unsubscribe();
  };
}

// A server that joins others is of no use before it can sign, and its own certificate would be trusted by nobody.
async function authoritiesReady(
  ca: CertificateAuthority,
  { log, signal }: Pick<IdentityServerOptions, 'log' | 'signal'>,
): Promise<void> {
  if (ca.isReady) return;
  log.info('waiting for agents to learn of the new authorities (authority_publish_delay)');
  while (!ca.isReady) {
    await delay(LOOK_INTERVAL, signal);
    signal?.throwIfAborted();
    await ca.tick();
  }
}

function unavailable(thrown: unknown, log: Logger): RpcError | undefined {
  if (!(thrown instanceof StoreUnavailableError)) return undefined;
  log.warn({ err: thrown }, 'a call was answered with UNAVAILABLE');
  return new RpcError('UNAVAILABLE', thrown.message);
}

/** The settings of the authorities. */
function authorityOptions(config: IdentityServerConfig) {
  const { ca_key_type: keyType, experimental } = config;
  return {
    trustDomain: config.trust_domain,
    ttl: config.ca_ttl,
    publishDelay: config.authority_publish_delay,
    keyType,
    ...(!config.disable_jwt_svids && {
      jwt: { keyType: config.jwt_key_type ?? keyType, issuer: config.jwt_issuer },
    }),
    ...(experimental.wit_svids && {
      wit: { keyType: experimental.wit_key_type ?? keyType, issuer: experimental.wit_issuer },
    }),
  };
}

function rateLimits({ rate_limits: limits }: IdentityServerConfig): RateLimits {
  const { attestation, signing, key_publishing: keyPublishing, status } = limits;
  return { attestation, signing, keyPublishing, status };
}

// Callers are of this trust domain, or of one that an administrator by configuration is of: nobody else from abroad has
// anything to do here, whatever this trust domain federates with.
function callerBundles(names: Iterable<TrustDomain>, bundles: X509BundleSource): X509BundleSource {
  const welcome = new Set(names);
  return { x509Bundle: (name) => (welcome.has(name) ? bundles.x509Bundle(name) : undefined) };
}
