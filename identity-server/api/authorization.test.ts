import { Buffer } from 'node:buffer';
import { createPrivateKey } from 'node:crypto';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { Explain } from '../../sdk/api/gen/sigil/explain/v1/explain_pb.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Debug } from '../../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { LocalAuthority } from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { Logger } from '../../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { TrustDomain } from '../../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import { Health } from '../../sdk/api/gen/grpc/health/v1/health_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { failureOf, startTestServer, TRUST_DOMAIN } from '../testing.ts';
import { AUTHORIZATION, isAllowed, type CallerClass } from './authorization.ts';

// SPIRE's default policy, row by row: any, local, admin, agent, downstream.
const CLASSES: readonly CallerClass[] = ['any', 'local', 'admin', 'agent', 'downstream'];
const POLICY = `
  spire.api.server.svid.v1.SVID
    .xx.. MintX509SVID
    .xx.. MintJWTSVID
    .xx.. MintWITSVID
    ...x. BatchNewX509SVID
    ...x. NewJWTSVID
    ...x. BatchNewWITSVID
    ....x NewDownstreamX509CA
  spire.api.server.bundle.v1.Bundle
    x.... GetBundle
    .xx.. AppendBundle
    ....x PublishJWTAuthority
    ....x PublishWITAuthority
    .xx.. CountBundles
    .xx.. ListFederatedBundles
    .xxx. GetFederatedBundle
    .xx.. BatchCreateFederatedBundle
    .xx.. BatchUpdateFederatedBundle
    .xx.. BatchSetFederatedBundle
    .xx.. BatchDeleteFederatedBundle
  spire.api.server.debug.v1.Debug
    .x... GetInfo
  spire.api.server.entry.v1.Entry
    .xx.. CountEntries
    .xx.. ListEntries
    .xx.. GetEntry
    .xx.. BatchCreateEntry
    .xx.. BatchUpdateEntry
    .xx.. BatchDeleteEntry
    ...x. GetAuthorizedEntries
    ...x. SyncAuthorizedEntries
  spire.api.server.logger.v1.Logger
    .x... GetLogger
    .x... SetLogLevel
    .x... ResetLogLevel
  spire.api.server.agent.v1.Agent
    .xx.. CountAgents
    .xx.. ListAgents
    .xx.. GetAgent
    .xx.. DeleteAgent
    .xx.. BanAgent
    x.... AttestAgent
    ...x. RenewAgent
    ...x. PostStatus
    .xx.. CreateJoinToken
  sigil.sync.v1.Sync
    ...x. Watch
  sigil.explain.v1.Explain
    .xx.. ExplainEntries
  grpc.health.v1.Health
    .x... Check
    .x... List
    .x... Watch
  spire.api.server.trustdomain.v1.TrustDomain
    .xx.. ListFederationRelationships
    .xx.. GetFederationRelationship
    .xx.. BatchCreateFederationRelationship
    .xx.. BatchUpdateFederationRelationship
    .xx.. BatchDeleteFederationRelationship
    .xx.. RefreshBundle
  spire.api.server.localauthority.v1.LocalAuthority
    .xx.. GetJWTAuthorityState
    .xx.. PrepareJWTAuthority
    .xx.. ActivateJWTAuthority
    .xx.. TaintJWTAuthority
    .xx.. RevokeJWTAuthority
    .xx.. GetX509AuthorityState
    .xx.. PrepareX509Authority
    .xx.. ActivateX509Authority
    .xx.. TaintX509Authority
    .xx.. TaintX509UpstreamAuthority
    .xx.. RevokeX509Authority
    .xx.. RevokeX509UpstreamAuthority
    .xx.. GetWITAuthorityState
    .xx.. PrepareWITAuthority
    .xx.. ActivateWITAuthority
    .xx.. TaintWITAuthority
    .xx.. RevokeWITAuthority
`;

const rows: { path: string; allowed: string }[] = [];
let service = '';
for (const line of POLICY.trim().split('\n')) {
  const words = line.trim().split(' ');
  if (words.length === 1) service = words[0]!;
  else rows.push({ path: `/${service}/${words[1]}`, allowed: words[0]! });
}

describe('the table', () => {
  test.each(rows)('$path: $allowed', ({ path, allowed }) => {
    const ours = CLASSES.map((callerClass) => (isAllowed(path, callerClass) ? 'x' : '.')).join('');
    expect(ours).toBe(allowed);
  });

  test('has these rows and no other, and every RPC that we have a description of', () => {
    expect([...AUTHORIZATION.keys()].toSorted()).toEqual(rows.map(({ path }) => path).toSorted());
    for (const { typeName, methods } of [
      Agent,
      Bundle,
      Debug,
      Entry,
      LocalAuthority,
      Logger,
      SVID,
      TrustDomain,
    ]) {
      for (const { name } of methods) expect(AUTHORIZATION.has(`/${typeName}/${name}`)).toBe(true);
    }
  });

  test('denies a method that it does not know, whoever calls', () => {
    for (const callerClass of CLASSES) expect(isAllowed('/x.Y/Z', callerClass)).toBe(false);
  });
});

const SERVED = [
  Agent,
  Bundle,
  Entry,
  SVID,
  TrustDomain,
  LocalAuthority,
  Explain,
  Debug,
  Logger,
  Health,
] as const;

test('over the wire, each class of caller reaches what the table says and nothing else', async () => {
  await using server = await startTestServer({
    config: { admin_ids: [`spiffe://${TRUST_DOMAIN}/named-admin`, 'spiffe://foreign.org/admin'] },
  });
  const foreign = await testAuthority('foreign.org');
  await server.local.unary(Bundle.method.batchSetFederatedBundle, {
    bundle: [{ trustDomain: 'foreign.org', x509Authorities: [{ asn1: foreign.certificate.der }] }],
  });
  const agent = await server.attest();
  const identityOf = async (path: string) => {
    const { chain, privateKey } = await foreign.issue(path).then((svid) => ({
      chain: svid.certificates,
      privateKey: svid.privateKey,
    }));
    return {
      chain,
      privateKey: createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' }),
    };
  };
  const callers: [string, GrpcClient, readonly CallerClass[]][] = [
    ['anonymous', await server.connect(), ['any']],
    ['local', server.local, ['any', 'local']],
    [
      'admin by entry',
      await server.connect(await server.issue(agent, '/admin', { admin: true })),
      ['any', 'admin'],
    ],
    [
      'admin by configuration',
      await server.connect(await server.issue(agent, '/named-admin')),
      ['any', 'admin'],
    ],
    ['admin from abroad', await server.connect(await identityOf('/admin')), ['any', 'admin']],
    ['somebody from abroad', await server.connect(await identityOf('/web')), ['any']],
    ['agent', await server.connect(agent), ['any', 'agent']],
    [
      'downstream',
      await server.connect(await server.issue(agent, '/d', { downstream: true })),
      ['any', 'downstream'],
    ],
    ['workload', await server.connect(await server.issue(agent, '/web')), ['any']],
  ];
  for (const service of SERVED) {
    for (const method of service.methods.filter(({ methodKind }) => methodKind === 'unary')) {
      const path = `/${service.typeName}/${method.name}`;
      const localOnly = AUTHORIZATION.get(path)!.join() === 'local';
      for (const [name, caller, classes] of callers) {
        const failure = await failureOf(caller.unary(method as DescMethodUnary, {}));
        const allowed = classes.some((callerClass) => isAllowed(path, callerClass));
        const refused = `PERMISSION_DENIED: authorization denied for method ${path}`;
        const got =
          failure === refused
            ? 'refused'
            : failure.startsWith('UNIMPLEMENTED: unknown service')
              ? 'unknown'
              : 'reached';
        const expected = allowed ? 'reached' : localOnly ? 'unknown' : 'refused';
        expect(`${path} ${name}: ${got}`).toBe(`${path} ${name}: ${expected}`);
      }
    }
  }
});

test('a foreign trust domain without an administrator of ours cannot even connect, whatever it federates', async () => {
  await using server = await startTestServer();
  const foreign = await testAuthority('foreign.org');
  await server.local.unary(Bundle.method.batchSetFederatedBundle, {
    bundle: [{ trustDomain: 'foreign.org', x509Authorities: [{ asn1: foreign.certificate.der }] }],
  });
  const svid = await foreign.issue('/admin');
  const privateKey = createPrivateKey({ key: Buffer.from(svid.privateKey), format: 'der', type: 'pkcs8' });
  const client = await server.connect({ chain: svid.certificates, privateKey });
  expect(await failureOf(client.unary(Bundle.method.getBundle, {}))).toMatch(/^UNAVAILABLE/);
});

test('a caller whose authority was revoked is out at once, on the connection that stands', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  const client = await server.connect(await server.issue(agent, '/admin', { admin: true }));
  const count = () => client.unary(Entry.method.countEntries, {});
  expect((await count()).count).toBe(1);
  const { local } = server;
  const old = (await local.unary(LocalAuthority.method.getX509AuthorityState, {})).active!.authorityId;
  const { preparedAuthority } = await local.unary(LocalAuthority.method.prepareX509Authority, {});
  await local.unary(LocalAuthority.method.activateX509Authority, {
    authorityId: preparedAuthority!.authorityId,
  });
  await local.unary(LocalAuthority.method.taintX509Authority, { authorityId: old });
  expect((await count()).count).toBe(1);
  await local.unary(LocalAuthority.method.revokeX509Authority, { authorityId: old });
  expect(await failureOf(count())).toMatch(/^UNAUTHENTICATED: the authority/);
});
