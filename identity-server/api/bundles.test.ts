import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  BatchDeleteFederatedBundleRequest_Mode as Mode,
  Bundle,
} from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';

const { method } = Bundle;
const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  type: 'spki',
  format: 'der',
});
const jwtKey = (keyId: string, over: object = {}) => ({
  keyId,
  publicKey,
  expiresAt: 4_000_000_000n,
  ...over,
});
const root = async (trustDomain: string) => ({ asn1: (await testAuthority(trustDomain)).certificate.der });

test('GetBundle: everything for everybody, or what a mask names', async () => {
  await using server = await startTestServer();
  const client = await server.connect();
  const bundle = await client.unary(method.getBundle, {});
  expect(bundle).toMatchObject({ trustDomain: TRUST_DOMAIN, refreshHint: 300n, sequenceNumber: 2n });
  expect(bundle.x509Authorities).toHaveLength(1);
  expect(bundle.jwtAuthorities[0]!.keyId).toMatch(/^\w{32}$/);
  const nothing = await client.unary(method.getBundle, { outputMask: {} });
  expect({ ...nothing, $typeName: '' }).toEqual({
    $typeName: '',
    trustDomain: TRUST_DOMAIN,
    x509Authorities: [],
    jwtAuthorities: [],
    witAuthorities: [],
    refreshHint: 0n,
    sequenceNumber: 0n,
  });
  const some = await client.unary(method.getBundle, { outputMask: { jwtAuthorities: true } });
  expect([some.x509Authorities.length, some.jwtAuthorities.length]).toEqual([0, 1]);
});

test('AppendBundle: adds what is new, counts once, and says what is wrong with what is not', async () => {
  await using server = await startTestServer();
  const append = (request: object) => server.local.unary(method.appendBundle, request);
  const x509 = await root(TRUST_DOMAIN);
  const appended = await append({ x509Authorities: [x509, x509], jwtAuthorities: [jwtKey('k')] });
  expect([appended.x509Authorities.length, appended.jwtAuthorities.length]).toEqual([2, 2]);
  expect(appended.jwtAuthorities[1]).toMatchObject({ keyId: 'k', expiresAt: 4_000_000_000n, tainted: false });
  expect(appended.sequenceNumber).toBe(3n);
  const again = await append({
    x509Authorities: [x509],
    jwtAuthorities: [jwtKey('k')],
    outputMask: { sequenceNumber: true },
  });
  expect([again.sequenceNumber, again.x509Authorities.length]).toEqual([3n, 0]);
  const tainted = await append({ jwtAuthorities: [jwtKey('t', { tainted: true })] });
  expect(tainted.jwtAuthorities.at(-1)!.tainted).toBe(false);

  const refused = (request: object) => failureOf(append(request));
  const leaf = (await (await testAuthority(TRUST_DOMAIN)).issue('/x')).certificates[0]!;
  expect(await refused({})).toBe('INVALID_ARGUMENT: no authorities to append');
  expect(await refused({ jwtAuthorities: [jwtKey('')] })).toBe(
    'INVALID_ARGUMENT: failed to convert JWT authority: missing key ID',
  );
  expect(await refused({ jwtAuthorities: [{ keyId: 'k' }] })).toMatch(/JWT authority: missing public key/);
  expect(await refused({ jwtAuthorities: [{ keyId: 'k', publicKey: new Uint8Array(9) }] })).toMatch(
    /^INVALID_ARGUMENT: failed to convert JWT authority: the public key cannot be read/,
  );
  expect(await refused({ jwtAuthorities: [jwtKey('n', { expiresAt: -1n })] })).toMatch(
    /the expiry is no number/,
  );
  expect(await refused({ x509Authorities: [{ asn1: new Uint8Array(3) }] })).toMatch(
    /^INVALID_ARGUMENT: failed to convert X.509 authority: /,
  );
  expect(await refused({ x509Authorities: [{}] })).toMatch(/missing X.509 certificate/);
  expect(await refused({ x509Authorities: [{ asn1: leaf }] })).toMatch(/not a signing certificate/);
  expect(await refused({ witAuthorities: [jwtKey('w')] })).toMatch(/^UNIMPLEMENTED: WIT-SVIDs/);
  expect((await server.local.unary(method.getBundle, {})).sequenceNumber).toBe(4n);
});

test('PublishJWTAuthority: a server below puts its key into the bundle and gets all', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  const client = await server.connect(await server.issue(agent, '/nested', { downstream: true }));
  const publish = (jwtAuthority?: object) => client.unary(method.publishJWTAuthority, { jwtAuthority });
  const { jwtAuthorities } = await publish(jwtKey('nested'));
  expect(jwtAuthorities.map(({ keyId }) => keyId)).toContain('nested');
  expect(jwtAuthorities).toHaveLength(2);
  expect((await server.local.unary(method.getBundle, {})).jwtAuthorities).toHaveLength(2);
  expect(await failureOf(publish())).toBe('INVALID_ARGUMENT: missing JWT authority');
  expect(await failureOf(publish({ publicKey }))).toBe(
    'INVALID_ARGUMENT: invalid JWT authority: missing key ID',
  );
  expect(await failureOf(client.unary(method.publishWITAuthority, {}))).toMatch(/^UNIMPLEMENTED/);
});

test('federated bundles: create, set, update by mask, get, list in pages, count', async () => {
  await using server = await startTestServer();
  const { local } = server;
  const bundle = async (trustDomain: string, over: object = {}) => ({
    trustDomain,
    x509Authorities: [await root(trustDomain)],
    jwtAuthorities: [jwtKey('k')],
    refreshHint: 60n,
    sequenceNumber: 7n,
    ...over,
  });
  const statuses = (results: readonly { status?: { code: number; message: string } }[]) =>
    results.map(({ status }) => `${status!.code} ${status!.message}`);
  const created = await local.unary(method.batchCreateFederatedBundle, {
    bundle: [
      await bundle('b.org'),
      await bundle('a.org'),
      await bundle('a.org'),
      await bundle(TRUST_DOMAIN),
      { trustDomain: 'Not One' },
      await bundle('c.org', { x509Authorities: [{ asn1: new Uint8Array(1) }] }),
      await bundle('c.org', { refreshHint: -1n }),
    ],
  });
  expect(statuses(created.results)).toEqual([
    '0 OK',
    '0 OK',
    '6 bundle already exists',
    "3 creating a federated bundle for the server's own trust domain is not allowed",
    expect.stringMatching(/^3 trust domain argument is not valid: /),
    expect.stringMatching(/^3 failed to convert X.509 authority: /),
    '3 the refresh hint is no number of seconds',
  ]);
  expect(created.results[2]!.bundle).toBeUndefined();
  expect(created.results[0]!.bundle).toMatchObject({
    trustDomain: 'b.org',
    sequenceNumber: 7n,
    refreshHint: 60n,
  });
  expect((await local.unary(method.countBundles, {})).count).toBe(3);

  const [updated, missing] = (
    await local.unary(method.batchUpdateFederatedBundle, {
      bundle: [await bundle('a.org', { refreshHint: 1n, jwtAuthorities: [] }), await bundle('x.org')],
      inputMask: { refreshHint: true },
      outputMask: { refreshHint: true, jwtAuthorities: true },
    })
  ).results;
  expect(updated!.bundle).toMatchObject({ refreshHint: 1n, sequenceNumber: 0n, x509Authorities: [] });
  expect(updated!.bundle!.jwtAuthorities).toHaveLength(1);
  expect(missing!.status).toMatchObject({ code: 5, message: 'bundle not found' });
  const set = await local.unary(method.batchSetFederatedBundle, {
    bundle: [await bundle('a.org', { sequenceNumber: 1n }), await bundle('c.org')],
  });
  expect(statuses(set.results)).toEqual(['0 OK', '0 OK']);
  const full = await local.unary(method.batchUpdateFederatedBundle, {
    bundle: [{ trustDomain: 'a.org' }],
  });
  expect(full.results[0]!.bundle).toMatchObject({
    x509Authorities: [],
    jwtAuthorities: [],
    sequenceNumber: 0n,
  });

  const first = await local.unary(method.listFederatedBundles, { pageSize: 2, outputMask: {} });
  expect(first.bundles.map(({ trustDomain }) => trustDomain)).toEqual(['a.org', 'b.org']);
  const rest = await local.unary(method.listFederatedBundles, {
    pageSize: 2,
    pageToken: first.nextPageToken,
  });
  expect(rest.bundles.map(({ trustDomain }) => trustDomain)).toEqual(['c.org']);
  expect(rest.nextPageToken).toBe('');
  expect(await failureOf(local.unary(method.listFederatedBundles, { pageToken: '%' }))).toBe(
    'INVALID_ARGUMENT: could not parse page_token',
  );
  const get = (trustDomain: string) => local.unary(method.getFederatedBundle, { trustDomain });
  expect((await get('spiffe://b.org')).jwtAuthorities).toHaveLength(1);
  expect(await failureOf(get('nobody.org'))).toBe('NOT_FOUND: bundle not found');
  expect(await failureOf(get(TRUST_DOMAIN))).toMatch(/^INVALID_ARGUMENT: getting a federated bundle/);
});

test('BatchDeleteFederatedBundle: restrict, delete and dissociate', async () => {
  await using server = await startTestServer();
  const names = ['a.org', 'aXorg', 'b.org'].map((name) => name.toLowerCase());
  await setBundles(server, names);
  const register = async (path: string, federatesWith: string[]) => {
    const { results } = await server.local.unary(Entry.method.batchCreateEntry, {
      entries: [
        {
          parentId: { trustDomain: TRUST_DOMAIN, path: '/node' },
          spiffeId: { trustDomain: TRUST_DOMAIN, path },
          selectors: [{ type: 'unix', value: 'uid:1' }],
          federatesWith,
        },
      ],
    });
    expect(results[0]!.status!.message).toBe('OK');
  };
  await register('/both', ['a.org', 'b.org']);
  await register('/other', ['axorg']);
  const remove = async (mode: Mode, ...trustDomains: string[]) => {
    const { results } = await server.local.unary(method.batchDeleteFederatedBundle, { mode, trustDomains });
    return results.map(({ status }) => [status!.code, status!.message.split(':')[0]]);
  };
  expect(await remove(Mode.RESTRICT, 'a.org', 'x.org', TRUST_DOMAIN, '?')).toEqual([
    [9, 'failed to delete federated bundle'],
    [5, 'bundle not found'],
    [3, 'removing the bundle for the server trust domain is not allowed'],
    [3, 'trust domain argument is not valid'],
  ]);
  const entries = async () =>
    (await server.local.unary(Entry.method.listEntries, {})).entries.map(({ spiffeId, federatesWith }) => [
      spiffeId!.path,
      federatesWith,
    ]);
  expect(await remove(Mode.DISSOCIATE, 'a.org')).toEqual([[0, 'OK']]);
  expect(await entries()).toEqual([
    ['/both', ['b.org']],
    ['/other', ['axorg']],
  ]);
  expect(await remove(Mode.DELETE, 'b.org')).toEqual([[0, 'OK']]);
  expect(await entries()).toEqual([['/other', ['axorg']]]);
  expect(await failureOf(remove(9 as Mode, 'axorg'))).toMatch(/^INVALID_ARGUMENT: unhandled delete mode/);
});

async function setBundles(server: TestServer, names: readonly string[]): Promise<void> {
  await server.local.unary(method.batchSetFederatedBundle, {
    bundle: names.map((trustDomain) => ({ trustDomain })),
  });
}
