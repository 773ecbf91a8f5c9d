// For tests only: a real gRPC server over real TLS that speaks the agent-facing part of SPIRE's server APIs, with a real
// authority and a few entries in memory. (The three programs never import each other, so the identity server itself
// meets this agent in test/e2e.)
import type { MessageInitShape } from '@bufbuild/protobuf';
import { sign } from 'node:crypto';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { GrpcServer } from '../../daemon/grpc/server.ts';
import { listenTls, type TlsCaller } from '../../daemon/grpc/tls-listener.ts';
import { createLog } from '../../daemon/log.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import type { EntrySchema } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import {
  PermissionDeniedDetailsSchema,
  type PermissionDeniedDetails_Reason as Reason,
} from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import { pathOf, spiffeIdOf, trustDomainOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { publicKeyOf } from '../../sdk/x509-svid/certificate.ts';
import { readCsr } from '../../sdk/x509-svid/csr.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { createSvidIssuer } from '../../sdk/x509-svid/template.ts';
import type { TestAuthority } from '../../test/support/authority.ts';

export type TestEntry = MessageInitShape<typeof EntrySchema> & { id: string };

/** What a test may turn while the server runs. */
export interface TestServerState {
  readonly entries: Map<string, TestEntry>;
  /** Good for one attestation each. */
  readonly tokens: Set<string>;
  /** Milliseconds. */
  svidLifetime: number;
  agentLifetime: number;
  /** Answer authenticated calls with this. */
  denial: Reason | undefined;
  /** Whether tokens are good more than once. */
  reattestable: boolean;
  /** Whether the bundle says that the authority is tainted. */
  tainted: boolean;
  /** How many entries come in one message; more are sent as revisions. */
  pageSize: number;
  /** What was asked, in order. */
  readonly calls: string[];
  readonly requestedIds: string[][];
  /** What agents said of themselves. */
  readonly versions: string[];
}

export interface TestServer extends Disposable {
  readonly port: number;
  readonly state: TestServerState;
}

export function testServerState(over: Partial<TestServerState> = {}): TestServerState {
  return {
    entries: new Map(),
    tokens: new Set(['token-1']),
    svidLifetime: 60_000,
    agentLifetime: 600_000,
    denial: undefined,
    reattestable: false,
    tainted: false,
    pageSize: 500,
    calls: [],
    requestedIds: [],
    versions: [],
    ...over,
  };
}

export async function startTestServer(
  authority: TestAuthority,
  state: TestServerState = testServerState(),
  port = 0,
): Promise<TestServer> {
  const trustDomain = trustDomainOf(authority.id('/x'));
  const issuer = createSvidIssuer({
    certificate: authority.certificate,
    publicKey: publicKeyOf(authority.certificate),
    sign: (tbs) => sign('sha256', tbs, authority.privateKey),
  });
  const issue = async (id: SpiffeId, csr: Uint8Array, lifetime: number) => {
    const notAfter = Date.now() + lifetime;
    const der = await issuer({
      id,
      publicKeyInfo: readCsr(csr).publicKeyInfo,
      notBefore: Date.now() - 10_000,
      notAfter,
    });
    return { certChain: [der], id: { trustDomain, path: pathOf(id) }, expiresAt: BigInt(notAfter) / 1000n };
  };
  const expectAgent = (caller: TlsCaller): SpiffeId => {
    if (caller.svid === undefined) throw new RpcError('UNAUTHENTICATED', 'no certificate');
    if (state.denial === undefined) return caller.svid.id;
    throw new RpcError('PERMISSION_DENIED', 'denied', [
      {
        schema: PermissionDeniedDetailsSchema,
        message: { $typeName: PermissionDeniedDetailsSchema.typeName, reason: state.denial } as never,
      },
    ]);
  };
  const log = createLog({ name: 'test-server', level: 'silent' });
  const server = new GrpcServer<TlsCaller>({
    log,
    onCall: (context, code) => state.calls.push(`${context.path.split('/').at(-1)} ${code}`),
  })
    .add(Agent, {
      async *attestAgent(requests) {
        for await (const { step } of requests) {
          if (step.case !== 'params') throw new RpcError('INVALID_ARGUMENT', 'params expected');
          const token = new TextDecoder().decode(step.value.data!.payload);
          if (!(state.reattestable ? state.tokens.has(token) : state.tokens.delete(token))) {
            // The token is echoed on purpose: the agent must keep it out of its log all the same.
            throw new RpcError('INVALID_ARGUMENT', `failed to attest: join token ${token} does not exist`);
          }
          const id = authority.id(`/spire/agent/join_token/${token}`);
          const svid = await issue(id, step.value.params!.csr, state.agentLifetime);
          yield { step: { case: 'result', value: { svid, reattestable: state.reattestable } } };
        }
      },
      async postStatus({ agentVersion }, { caller }) {
        state.versions.push(`${expectAgent(caller)} ${agentVersion}`);
        return {};
      },
      async renewAgent({ params }, { caller }) {
        return { svid: await issue(expectAgent(caller), params!.csr, state.agentLifetime) };
      },
    })
    .add(Bundle, {
      getBundle: async () => ({
        trustDomain,
        x509Authorities: [{ asn1: authority.certificate.der, tainted: state.tainted }],
      }),
      getFederatedBundle: async (request) => {
        if (request.trustDomain !== 'partner.test') throw new RpcError('NOT_FOUND', 'no such bundle');
        return { trustDomain: 'partner.test', x509Authorities: [{ asn1: authority.certificate.der }] };
      },
    })
    .add(Entry, {
      async *syncAuthorizedEntries(requests, { caller }) {
        expectAgent(caller);
        for await (const { ids } of requests) {
          const all = [...state.entries.values()];
          if (ids.length === 0 && all.length <= state.pageSize) {
            yield { entries: all };
            continue;
          }
          if (ids.length > 0) state.requestedIds.push(ids);
          const chosen = ids.length === 0 ? all : all.filter(({ id }) => ids.includes(id));
          for (let start = 0; start < chosen.length; start += state.pageSize) {
            const page = chosen.slice(start, start + state.pageSize);
            const more = start + state.pageSize < chosen.length;
            if (ids.length > 0) yield { entries: page, more };
            else
              yield {
                entryRevisions: page.map(({ id, revisionNumber, createdAt }) => ({
                  id,
                  revisionNumber,
                  createdAt,
                })),
                more,
              };
          }
        }
      },
    })
    .add(SVID, {
      async batchNewX509SVID({ params }, { caller }) {
        expectAgent(caller);
        const results = params.map(async ({ entryId, csr }) => {
          const entry = state.entries.get(entryId);
          if (entry === undefined)
            return { status: { code: 5, message: 'entry not found or not authorized' } };
          const id = spiffeIdOf(trustDomain, entry.spiffeId!.path!);
          return { status: { code: 0, message: 'OK' }, svid: await issue(id, csr, state.svidLifetime) };
        });
        return { results: await Promise.all(results) };
      },
    });
  const own = await authority.issue('/spire/server');
  const listener = await listenTls({
    address: '127.0.0.1',
    port,
    option: 'test',
    identity: { cert: pemOf('CERTIFICATE', own.certificates), key: pemOf('PRIVATE KEY', [own.privateKey]) },
    bundles: authority.bundles,
    log,
    onConnection: (socket, caller) => server.serve(socket, caller),
  });
  return {
    port: listener.port,
    state,
    [Symbol.dispose]() {
      listener.close();
      server.close();
    },
  };
}
