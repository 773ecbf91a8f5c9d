// A real server for tests: real files in a temporary folder, real sockets, a clock that the test sets.
import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../daemon/log.ts';
import { Agent } from '../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { GrpcClient } from '../sdk/grpc/client.ts';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { pemOf } from '../sdk/x509-svid/pem.ts';
import { identityServerConfigSchema } from './config.ts';
import { startIdentityServer, type IdentityServer } from './server.ts';

/** A key with its certificate chain (DER), as a TLS client presents it. */
export interface TestIdentity {
  readonly privateKey: KeyObject;
  readonly chain: readonly Uint8Array[];
}

export interface TestServer extends AsyncDisposable {
  readonly folder: string;
  readonly server: IdentityServer;
  /** Every line that was logged. */
  readonly lines: readonly string[];
  /** A client on the local socket. */
  readonly local: GrpcClient;
  /** A client over TLS, with or without a certificate. */
  connect(identity?: TestIdentity): Promise<GrpcClient>;
  /** Creates a token (or takes the given one) and attests with it. */
  attest(token?: string): Promise<TestIdentity & { readonly path: string }>;
  /** Creates an entry below an agent and has its SVID signed. `over` goes into the entry. */
  issue(agent: TestIdentity & { readonly path: string }, path: string, over?: object): Promise<TestIdentity>;
  /** Creates an entry and returns its ID. */
  register(entry: { parent: string; path: string; selector: string; expiresAt?: number }): Promise<string>;
}

export interface TestServerOptions {
  /** Over the defaults of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly now?: () => number;
  /** An existing folder: it is not removed at the end. */
  readonly folder?: string;
}

export const TRUST_DOMAIN = 'example.org';

/** A temporary folder. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'sigil-'));
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  await using stack = new AsyncDisposableStack();
  const folder = options.folder ?? temporaryFolder();
  if (options.folder === undefined) stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const log = createLog({
    name: 'identity-server',
    level: 'trace',
    destination: { write: (line) => void lines.push(line) },
  });
  const config = identityServerConfigSchema.parse({
    trust_domain: TRUST_DOMAIN,
    data_dir: join(folder, 'data'),
    listen: '127.0.0.1:0',
    // Tests come from one address.
    rate_limits: { attestation: 0, signing: 0 },
    ...options.config,
  });
  const server = stack.use(await startIdentityServer(config, { log, now: options.now }));
  const local = stack.use(new GrpcClient(`unix:${server.socketPath}`, credentials.createInsecure()));
  const parts = stack.move();
  const connect = async (identity?: TestIdentity) => {
    const { x509Authorities } = await local.unary(Bundle.method.getBundle, {});
    return parts.use(
      clientOf(
        server.port,
        x509Authorities.map(({ asn1 }) => asn1),
        identity,
      ),
    );
  };
  const attest = async (given?: string) => {
    const token = given ?? (await local.unary(Agent.method.createJoinToken, { ttl: 60 })).value;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const client = await connect();
    const call = client.bidiStream(Agent.method.attestAgent, { timeout: 10_000 });
    call.send({
      step: {
        case: 'params',
        value: {
          data: { type: 'join_token', payload: Buffer.from(token) },
          params: { csr: createCsr(privateKey) },
        },
      },
    });
    call.close();
    for await (const { step } of call.messages) {
      if (step.case !== 'result') continue;
      const { certChain, id } = step.value.svid!;
      return { privateKey, chain: certChain, path: id!.path };
    }
    throw new Error('the stream ended without a result');
  };
  const issue: TestServer['issue'] = async (agent, path, over = {}) => {
    const { results } = await local.unary(Entry.method.batchCreateEntry, {
      entries: [
        {
          parentId: { trustDomain: TRUST_DOMAIN, path: agent.path },
          spiffeId: { trustDomain: TRUST_DOMAIN, path },
          selectors: [{ type: 'unix', value: 'uid:1' }],
          ...over,
        },
      ],
    });
    if (results[0]!.status!.code !== 0) throw new Error(results[0]!.status!.message);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const params = [{ entryId: results[0]!.entry!.id, csr: createCsr(privateKey) }];
    const signed = await (await connect(agent)).unary(SVID.method.batchNewX509SVID, { params });
    return { privateKey, chain: signed.results[0]!.svid!.certChain };
  };
  return {
    folder,
    server,
    lines,
    local,
    connect,
    attest,
    issue,
    async register({ parent, path, selector, expiresAt = 0 }) {
      const [type, ...value] = selector.split(':');
      const { results } = await local.unary(Entry.method.batchCreateEntry, {
        entries: [
          {
            parentId: { trustDomain: TRUST_DOMAIN, path: parent },
            spiffeId: { trustDomain: TRUST_DOMAIN, path },
            selectors: [{ type: type!, value: value.join(':') }],
            expiresAt: BigInt(expiresAt),
          },
        ],
      });
      if (results[0]!.status!.code !== 0) throw new Error(results[0]!.status!.message);
      return results[0]!.entry!.id;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** A client of a server on loopback whose roots are given. */
export function clientOf(port: number, roots: readonly Uint8Array[], identity?: TestIdentity): GrpcClient {
  const key = identity?.privateKey.export({ type: 'pkcs8', format: 'der' });
  const tls = credentials.createSsl(
    Buffer.from(pemOf('CERTIFICATE', roots)),
    key === undefined ? null : Buffer.from(pemOf('PRIVATE KEY', [key])),
    identity === undefined ? null : Buffer.from(pemOf('CERTIFICATE', identity.chain)),
    { checkServerIdentity: () => undefined },
  );
  return new GrpcClient(`127.0.0.1:${port}`, tls, { 'grpc.ssl_target_name_override': 'spire-server' });
}

/** The status with which a call fails, such as `NOT_FOUND: entry not found`. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { code, details } = error as ServiceError;
    return `${status[code]}: ${details}`;
  }
  return 'OK';
}
