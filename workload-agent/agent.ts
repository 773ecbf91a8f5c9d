// The agent, put together: every part is made here and ends when the signal aborts.
import { createNodeAttestorAgent } from '../attestors/node/agent-catalog.ts';
import type { NodeAttestorAgent } from '../attestors/node/node-attestor-agent.ts';
import { createWorkloadAttestors } from '../attestors/workload/catalog.ts';
import { LaunchRegistry } from '../attestors/workload/launch/registry.ts';
import type { Logger } from '../daemon/log.ts';
import { expectLinux } from '../daemon/program.ts';
import { runAgentLoop } from './agent-loop.ts';
import { agentPaths, type AgentPaths, type WorkloadAgentConfig } from './config.ts';
import { serveAdmin, serveWorkloadApi } from './endpoints.ts';
import { makeAgentFolders } from './folders.ts';
import { loadBootstrapBundle } from './node-attestation/bootstrap.ts';
import { withoutToken } from './node-attestation/failure-text.ts';
import { NodeIdentity } from './node-attestation/node-identity.ts';
import { agentStateFile } from './node-attestation/state-file.ts';
import { createPeerIdentifier, openKernel } from './peer/peer.ts';
import { SvidCache } from './svid-cache/svid-cache.ts';
import { EarlySync } from './sync/early-sync.ts';
import { PushFollower } from './sync/push.ts';
import { Synchronizer } from './sync/synchronizer.ts';
import { createWorkloadAttestation } from './workload-api/attestation.ts';

/** What an agent runs with besides its configuration. */
export interface RunWorkloadAgentOptions {
  /** Ends the agent. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** The descriptor of an inherited socket pair on which the parent registers processes that it starts. */
  readonly launchFd?: number;
  /** Reads the join token where `join_token_file` is `-`. */
  readonly readToken?: () => Promise<string>;
}

const HOUSEKEEPING_INTERVAL = 1_000;
// How long a caller without an entry waits for a look at the server before it is refused.
const EARLY_SYNC_PATIENCE = 2_000;

/** Runs an agent until the signal aborts. It throws only for what an operator has to change before it can start. */
export async function runWorkloadAgent(
  config: WorkloadAgentConfig,
  options: RunWorkloadAgentOptions,
): Promise<void> {
  expectLinux();
  const { log, signal } = options;
  const paths = agentPaths(config);
  const isAdminOpen = config.launchers.some(({ uid }) => uid !== 0 && uid !== process.getuid?.());
  await makeAgentFolders(config.data_dir, paths, isAdminOpen);
  using identity = await openIdentity(config, paths, options);
  using launches = new LaunchRegistry();
  using cleanup = new DisposableStack();
  const cache = new SvidCache();
  const early = new EarlySync();
  const identifier = createPeerIdentifier(await openKernel());
  if (!identifier.hasPeerPidfd) {
    log.warn(
      'this kernel has no SO_PEERPIDFD (Linux 6.5): a caller that ends while it connects could be mistaken for the next process with its pid',
    );
  }
  const attestors = createWorkloadAttestors({
    unix: { sha256: config.unix.sha256, sha256MaxBytes: config.unix.sha256_max_bytes },
    launches,
  });

  cleanup.defer(
    await serveWorkloadApi({
      path: paths.workloadSocket,
      identifier,
      cache,
      attest: createWorkloadAttestation(attestors, log),
      lookAgain: () => early.request(EARLY_SYNC_PATIENCE),
      log,
    }),
  );
  cleanup.defer(
    await serveAdmin({
      path: paths.adminSocket,
      mode: isAdminOpen ? 0o666 : 0o600,
      identifier,
      registry: launches,
      launchers: config.launchers,
      launchFd: options.launchFd,
      log,
    }),
  );
  log.info({ socket: paths.workloadSocket, admin_socket: paths.adminSocket }, 'listening');

  const housekeeping = setInterval(() => {
    cache.expire();
    launches.sweep();
  }, HOUSEKEEPING_INTERVAL);
  cleanup.defer(() => clearInterval(housekeeping));

  const {
    trust_domain: trustDomain,
    workload_x509_svid_key_type: keyType,
    sync_interval: syncInterval,
  } = config;
  const synchronizer = new Synchronizer({ trustDomain, identity, cache, keyType, log });
  using push = new PushFollower({ trustDomain, identity, cache, log });
  const onReady = () =>
    log.info({ id: withoutToken(identity.svid?.id ?? 'none'), entries: cache.entries.size }, 'ready');
  await runAgentLoop({ identity, synchronizer, push, cache, syncInterval, early, log, signal, onReady });
  log.info('stopped');
}

async function openIdentity(
  config: WorkloadAgentConfig,
  paths: AgentPaths,
  { log, readToken }: RunWorkloadAgentOptions,
): Promise<NodeIdentity> {
  const { trust_domain: trustDomain, trust_bundle_file: bundleFile } = config;
  const bootstrap = bundleFile === undefined ? undefined : await loadBootstrapBundle(bundleFile, trustDomain);
  if (bootstrap === undefined) {
    log.warn(
      'insecure_bootstrap: the first connection trusts whoever answers; use trust_bundle_file outside of trials',
    );
  }
  const identity = new NodeIdentity({
    trustDomain,
    server: config.server,
    bootstrap,
    attestor: nodeAttestor(config, readToken),
    stateFile: agentStateFile(paths.state, trustDomain, log),
    log,
  });
  await identity.load();
  return identity;
}

function nodeAttestor(
  { x509pop, join_token_file: file }: WorkloadAgentConfig,
  readToken?: () => Promise<string>,
): NodeAttestorAgent {
  if (x509pop !== undefined) {
    return createNodeAttestorAgent({
      type: 'x509pop',
      certificateFile: x509pop.certificate_file,
      privateKeyFile: x509pop.private_key_file,
      intermediatesFile: x509pop.intermediates_file,
    });
  }
  if (file === '-') {
    return createNodeAttestorAgent({ type: 'join_token', file: 'standard input', readToken });
  }
  return createNodeAttestorAgent({ type: 'join_token', file: file ?? 'the file that join_token_file names' });
}
