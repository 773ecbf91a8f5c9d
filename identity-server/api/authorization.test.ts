import { status, type ServiceError } from '@grpc/grpc-js';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Debug } from '../../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { LocalAuthority } from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { Logger } from '../../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { TrustDomain } from '../../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { generateKeyPairSync } from 'node:crypto';
import { startTestServer, TRUST_DOMAIN } from '../testing.ts';
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

test('over the wire, each class of caller reaches what the table says and nothing else', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  const client = await server.connect(agent);
  const withRole = async (role: 'admin' | 'downstream') => {
    const { results } = await server.local.unary(Entry.method.batchCreateEntry, {
      entries: [
        {
          parentId: { trustDomain: TRUST_DOMAIN, path: agent.path },
          spiffeId: { trustDomain: TRUST_DOMAIN, path: `/${role}` },
          selectors: [{ type: 'unix', value: 'uid:1' }],
          [role]: true,
        },
      ],
    });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const params = [{ entryId: results[0]!.entry!.id, csr: createCsr(privateKey) }];
    const signed = await client.unary(SVID.method.batchNewX509SVID, { params });
    return server.connect({ privateKey, chain: signed.results[0]!.svid!.certChain });
  };
  const callers = {
    any: await server.connect(),
    local: server.local,
    admin: await withRole('admin'),
    agent: client,
    downstream: await withRole('downstream'),
  };
  for (const service of [Agent, Bundle, Entry, SVID]) {
    for (const method of service.methods.filter(({ methodKind }) => methodKind === 'unary')) {
      const path = `/${service.typeName}/${method.name}`;
      for (const [callerClass, caller] of Object.entries(callers)) {
        const code = await caller.unary(method as DescMethodUnary, {}).then(
          () => status.OK,
          (error: ServiceError) => error.code,
        );
        // What is not served yet says so, to everybody.
        if (code === status.UNIMPLEMENTED) continue;
        const expected = isAllowed(path, 'any') || isAllowed(path, callerClass as CallerClass);
        expect(`${path} ${callerClass} ${code !== status.PERMISSION_DENIED}`).toBe(
          `${path} ${callerClass} ${expected}`,
        );
      }
    }
  }
});
