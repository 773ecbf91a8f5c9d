// The server of the propagation benchmark, put together from its parts so that a commit can be seen: store, registry,
// guard, streams and listener are those of the product.
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrpcServer } from '../../daemon/grpc/server.ts';
import { listenTls } from '../../daemon/grpc/tls-listener.ts';
import { createMemoryKeyManager } from '../../daemon/key-manager/memory.ts';
import { createLog } from '../../daemon/log.ts';
import type { Caller } from '../../identity-server/api/caller.ts';
import { createGuard } from '../../identity-server/api/guard.ts';
import { layered } from '../../identity-server/api/layers.ts';
import { openCertificateAuthority } from '../../identity-server/ca/certificate-authority.ts';
import { ServerSvid, serverIdOf } from '../../identity-server/ca/server-svid.ts';
import { openRegistry } from '../../identity-server/entry/registry.ts';
import { PushHub } from '../../identity-server/push/hub.ts';
import { syncService } from '../../identity-server/push/service.ts';
import { openStore } from '../../identity-server/store/open-store.ts';
import { databaseSchema } from '../../identity-server/store/database-config.ts';
import { newNode } from '../../identity-server/store/store-contract.ts';
import { Sync } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { parseTrustDomain, type SpiffeId } from '../../sdk/spiffe-id.ts';

const HOUR = 3_600_000;
const trustDomain = parseTrustDomain('example.org');

export const agentId = (index: number) => `spiffe://example.org/spire/agent/bench/${index}` as SpiffeId;

export async function startBenchServer(agents: number, selectorsOf: (index: number) => readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'sigil-bench-'));
  const log = createLog({ name: 'bench', level: 'error' });
  const store = await openStore({ database: databaseSchema.parse({}), folder, trustDomain });
  let committedAt = 0n;
  // Before the registry hears of it.
  store.subscribe(() => (committedAt = process.hrtime.bigint()));
  const ca = await openCertificateAuthority({
    trustDomain,
    keys: createMemoryKeyManager(),
    ttl: 24 * HOUR,
    keyType: 'ec-p256',
    store,
    log,
  });
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
  const chains: string[][] = [];
  for (let index = 0; index < agents; index++) {
    const svid = await ca.signX509({ id: agentId(index), publicKeyInfo, ttl: HOUR });
    chains.push(svid.chain.map((der) => Buffer.from(der).toString('base64')));
    const selectors = selectorsOf(index).map((value) => ({ type: 'bench', value }));
    await store.putNode(
      newNode({ id: agentId(index), serial: svid.serial, notAfter: svid.notAfter, selectors }),
    );
  }
  const registry = await openRegistry({ store, serverId: serverIdOf(trustDomain) });
  const hub = new PushHub({ registry, trustDomain, refreshHint: 300, now: Date.now, nudgeInterval: HOUR });
  const svid = new ServerSvid({
    trustDomain,
    ca,
    keyType: 'ec-p256',
    ttl: HOUR,
    isTainted: () => false,
    now: Date.now,
  });
  const grpc = new GrpcServer<Caller>({
    log,
    guard: createGuard({ registry, store, adminIds: new Set(), now: Date.now }),
  });
  grpc.add(Sync, layered(Sync, syncService(hub), { throttle: () => undefined }));
  const listener = await listenTls({
    address: '127.0.0.1',
    port: 0,
    option: 'bench',
    identity: await svid.renew(),
    bundles: registry.bundles,
    log,
    onConnection: (socket, caller) => grpc.serve(socket, caller),
  });
  return {
    store,
    hub,
    port: listener.port,
    chains,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    roots: registry.bundles
      .x509Bundle(trustDomain)!
      .authorities.map(({ der }) => Buffer.from(der).toString('base64')),
    /** When the last commit was. */
    get committedAt() {
      return committedAt;
    },
    async close(): Promise<void> {
      listener.close();
      grpc.close();
      hub[Symbol.dispose]();
      registry[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
