import type { DescMethodUnary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { LocalAuthority } from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { decodeProtectedHeader } from 'jose';
import { failureOf, startTestServer, TRUST_DOMAIN } from '../testing.ts';

const { method } = LocalAuthority;

test('X.509: state, prepare, activate, taint and revoke, each with its preconditions', async () => {
  await using server = await startTestServer();
  const { local } = server;
  const roots = async () => (await local.unary(Bundle.method.getBundle, {})).x509Authorities;
  const state = await local.unary(method.getX509AuthorityState, {});
  const first = state.active!.authorityId;
  expect(first).toMatch(/^[0-9a-f]{40}$/);
  expect([state.prepared, state.old]).toEqual([undefined, undefined]);
  expect(Number(state.active!.expiresAt)).toBeGreaterThan(Date.now() / 1_000 + 86_000);

  const activate = (authorityId: string) =>
    failureOf(local.unary(method.activateX509Authority, { authorityId }));
  const taint = (authorityId: string) => failureOf(local.unary(method.taintX509Authority, { authorityId }));
  const revoke = (authorityId: string) => failureOf(local.unary(method.revokeX509Authority, { authorityId }));
  expect(await activate('')).toBe('INVALID_ARGUMENT: no authority ID provided');
  expect(await activate(first)).toBe('INVALID_ARGUMENT: unexpected authority ID');
  expect(await taint('')).toBe('INVALID_ARGUMENT: no authority ID provided');
  expect(await taint(first)).toBe('INVALID_ARGUMENT: unable to taint current local authority');
  expect(await taint('x')).toBe('INVALID_ARGUMENT: unexpected authority ID');
  expect(await revoke(first)).toBe('INVALID_ARGUMENT: unable to revoke current local authority');

  const { preparedAuthority } = await local.unary(method.prepareX509Authority, {});
  const second = preparedAuthority!.authorityId;
  expect((await local.unary(method.getX509AuthorityState, {})).prepared!.authorityId).toBe(second);
  expect(await roots()).toHaveLength(2);
  expect(await taint(second)).toMatch(/^INVALID_ARGUMENT: only Old local authorities can be tainted/);
  expect(await revoke(second)).toMatch(/^INVALID_ARGUMENT: only Old local authorities can be revoked/);
  expect(await activate(second)).toBe('OK');
  const after = await local.unary(method.getX509AuthorityState, {});
  expect([after.active!.authorityId, after.old!.authorityId, after.prepared]).toEqual([
    second,
    first,
    undefined,
  ]);
  expect(await activate(first)).toMatch(/^INTERNAL: only Prepared authorities can be activated: /);

  expect(await revoke(first)).toBe('INVALID_ARGUMENT: it is not possible to revoke an untainted root CA');
  expect(await taint(first)).toBe('OK');
  expect((await roots()).map(({ tainted }) => tainted)).toEqual([true, false]);
  expect(await taint(first)).toBe('INVALID_ARGUMENT: root CA is already tainted');
  expect(await revoke(first)).toBe('OK');
  expect(await roots()).toHaveLength(1);
  expect((await local.unary(method.getX509AuthorityState, {})).old).toBeUndefined();
});

test('an agent that attested under the old authority gets through the rotation, and the SVIDs follow', async () => {
  await using server = await startTestServer();
  const { local } = server;
  const agent = await server.attest();
  const { preparedAuthority } = await local.unary(method.prepareX509Authority, {});
  const authorityId = preparedAuthority!.authorityId;
  await local.unary(method.activateX509Authority, { authorityId });
  await server.issue(agent, '/web');
});

test('JWT: prepare, activate, taint and revoke; tokens are signed by the active key', async () => {
  await using server = await startTestServer();
  const { local } = server;
  const keys = async () => (await local.unary(Bundle.method.getBundle, {})).jwtAuthorities;
  const kid = async () => {
    const id = { trustDomain: TRUST_DOMAIN, path: '/web' };
    const { svid } = await local.unary(SVID.method.mintJWTSVID, { id, audience: ['db'] });
    return decodeProtectedHeader(svid!.token).kid;
  };
  const first = (await local.unary(method.getJWTAuthorityState, {})).active!.authorityId;
  expect(await kid()).toBe(first);
  const { preparedAuthority } = await local.unary(method.prepareJWTAuthority, {});
  const second = preparedAuthority!.authorityId;
  expect((await keys()).map(({ keyId }) => keyId)).toEqual([first, second]);
  expect((await keys())[0]!.expiresAt).toBeGreaterThan(0n);
  expect(await kid()).toBe(first);
  await local.unary(method.activateJWTAuthority, { authorityId: second });
  expect(await kid()).toBe(second);
  const revoke = () => failureOf(local.unary(method.revokeJWTAuthority, { authorityId: first }));
  expect(await revoke()).toBe('INVALID_ARGUMENT: it is not possible to revoke an untainted key');
  await local.unary(method.taintJWTAuthority, { authorityId: first });
  expect((await keys()).map(({ tainted }) => tainted)).toEqual([true, false]);
  expect(await revoke()).toBe('OK');
  expect((await keys()).map(({ keyId }) => keyId)).toEqual([second]);
});

test('no upstream authority, no WIT by default, and no JWT where it is switched off', async () => {
  await using server = await startTestServer({ config: { disable_jwt_svids: true } });
  const { local } = server;
  const bundle = await local.unary(Bundle.method.getBundle, {});
  expect([bundle.jwtAuthorities, bundle.witAuthorities]).toEqual([[], []]);
  const upstream = 'FAILED_PRECONDITION: upstream authority is not configured';
  expect(await failureOf(local.unary(method.taintX509UpstreamAuthority, { subjectKeyId: 'a' }))).toBe(
    upstream,
  );
  expect(await failureOf(local.unary(method.revokeX509UpstreamAuthority, { subjectKeyId: 'a' }))).toBe(
    upstream,
  );
  for (const name of ['getJWTAuthorityState', 'prepareJWTAuthority', 'activateJWTAuthority'] as const) {
    expect(await failureOf(local.unary(method[name] as DescMethodUnary, {}))).toBe(
      'UNIMPLEMENTED: JWT functionality is disabled',
    );
  }
  for (const name of ['getWITAuthorityState', 'prepareWITAuthority', 'taintWITAuthority'] as const) {
    expect(await failureOf(local.unary(method[name] as DescMethodUnary, {}))).toMatch(
      /^UNIMPLEMENTED: WIT-SVIDs/,
    );
  }
  const id = { trustDomain: TRUST_DOMAIN, path: '/web' };
  const audience = ['db'];
  expect(await failureOf(local.unary(SVID.method.mintJWTSVID, { id, audience }))).toBe(
    'UNIMPLEMENTED: JWT functionality is disabled',
  );
});

test('WIT authorities, where they are switched on', async () => {
  await using server = await startTestServer({ config: { experimental: { wit_svids: true } } });
  const { local } = server;
  const first = (await local.unary(method.getWITAuthorityState, {})).active!.authorityId;
  const { preparedAuthority } = await local.unary(method.prepareWITAuthority, {});
  await local.unary(method.activateWITAuthority, { authorityId: preparedAuthority!.authorityId });
  await local.unary(method.taintWITAuthority, { authorityId: first });
  await local.unary(method.revokeWITAuthority, { authorityId: first });
  const { witAuthorities } = await local.unary(Bundle.method.getBundle, {});
  expect(witAuthorities.map(({ keyId }) => keyId)).toEqual([preparedAuthority!.authorityId]);
});
