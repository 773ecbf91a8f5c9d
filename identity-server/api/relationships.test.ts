import { afterEach, expect, test } from 'vitest';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { TrustDomain } from '../../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import { serializeSpiffeBundle } from '../../sdk/bundle/serialize-bundle.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { closeEndpoints, startEndpoint } from '../../test/conformance/federation-endpoint.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { failureOf, startTestServer, TRUST_DOMAIN } from '../testing.ts';

const { method } = TrustDomain;
const web = (trustDomain: string, over: object = {}) => ({
  trustDomain,
  bundleEndpointUrl: 'https://example.net/bundle',
  bundleEndpointProfile: { case: 'httpsWeb' as const, value: {} },
  ...over,
});
const spiffe = (endpointSpiffeId: string) => ({
  bundleEndpointProfile: { case: 'httpsSpiffe' as const, value: { endpointSpiffeId } },
});

afterEach(() => closeEndpoints());

test('create, list, get, update by mask and delete, each item with its own status', async () => {
  await using server = await startTestServer();
  const { local } = server;
  const create = async (...federationRelationships: object[]) =>
    (await local.unary(method.batchCreateFederationRelationship, { federationRelationships })).results;
  const asn1 = (await testAuthority('a.org')).certificate.der;
  const results = await create(
    web('b.org'),
    web('a.org', {
      ...spiffe('spiffe://a.org/server'),
      trustDomainBundle: { trustDomain: 'a.org', x509Authorities: [{ asn1 }] },
    }),
    web('a.org'),
    web(TRUST_DOMAIN),
    web(''),
    web('c.org', { bundleEndpointUrl: '' }),
    web('c.org', { bundleEndpointUrl: 'http://example.net' }),
    web('c.org', { bundleEndpointUrl: 'https://user:secret@example.net' }),
    web('c.org', { bundleEndpointProfile: { case: undefined } }),
    web('c.org', spiffe('not one')),
    web('c.org', spiffe('spiffe://c.org')),
    web('c.org', { trustDomainBundle: { trustDomain: 'd.org' } }),
  );
  expect(results.map(({ status }) => `${status!.code} ${status!.message}`)).toEqual([
    '0 OK',
    '0 OK',
    '6 federation relationship already exists',
    expect.stringContaining(
      '3 failed to convert federation relationship: unable to create federation relationship for server trust domain',
    ),
    expect.stringContaining('trust domain is not valid: '),
    expect.stringContaining('missing bundle endpoint URL'),
    expect.stringContaining('bundle endpoint URL is not valid'),
    expect.stringContaining('bundle endpoint URL is not valid'),
    expect.stringContaining('missing bundle endpoint profile'),
    expect.stringContaining('endpoint SPIFFE ID is not valid'),
    expect.stringContaining('has no path'),
    expect.stringContaining('must match the trust domain of the federation relationship'),
  ]);
  expect(JSON.stringify(results.map(({ status }) => status!.message))).not.toContain('secret');
  expect(results[1]!.federationRelationship).toMatchObject({
    trustDomain: 'a.org',
    bundleEndpointProfile: { value: { endpointSpiffeId: 'spiffe://a.org/server' } },
    trustDomainBundle: { trustDomain: 'a.org' },
  });

  const get = (trustDomain: string, outputMask?: object) =>
    local.unary(method.getFederationRelationship, { trustDomain, outputMask });
  expect((await get('a.org')).trustDomainBundle!.x509Authorities).toHaveLength(1);
  const masked = await get('a.org', {});
  expect([masked.bundleEndpointUrl, masked.bundleEndpointProfile.case, masked.trustDomainBundle]).toEqual([
    '',
    undefined,
    undefined,
  ]);
  expect(await failureOf(get('x.org'))).toBe('NOT_FOUND: federation relationship does not exist');
  expect(await failureOf(get('?'))).toMatch(/^INVALID_ARGUMENT: trust domain is not valid/);

  const first = await local.unary(method.listFederationRelationships, { pageSize: 1 });
  expect([first.federationRelationships[0]!.trustDomain, first.nextPageToken]).toEqual(['a.org', 'a.org']);

  const update = async (inputMask: object | undefined, ...federationRelationships: object[]) =>
    (await local.unary(method.batchUpdateFederationRelationship, { inputMask, federationRelationships }))
      .results;
  const [url] = await update(
    { bundleEndpointUrl: true },
    { trustDomain: 'a.org', bundleEndpointUrl: 'https://example.net/two' },
  );
  expect(url!.federationRelationship).toMatchObject({
    bundleEndpointUrl: 'https://example.net/two',
    bundleEndpointProfile: { case: 'httpsSpiffe' },
  });
  const [toWeb, missing, nothing] = await update(undefined, web('a.org'), web('x.org'), {
    trustDomain: 'b.org',
  });
  expect(toWeb!.federationRelationship!.bundleEndpointProfile.case).toBe('httpsWeb');
  // The bundle was not mentioned: it stays.
  expect(toWeb!.federationRelationship!.trustDomainBundle!.x509Authorities).toHaveLength(1);
  expect(missing!.status).toMatchObject({ code: 5, message: 'federation relationship does not exist' });
  expect(nothing!.status!.code).toBe(3);

  const { results: deleted } = await local.unary(method.batchDeleteFederationRelationship, {
    trustDomains: ['a.org', 'a.org', '?'],
  });
  expect(deleted.map(({ status, trustDomain }) => [trustDomain, status!.code])).toEqual([
    ['a.org', 0],
    ['a.org', 5],
    ['?', 3],
  ]);
  expect((await local.unary(Bundle.method.getFederatedBundle, { trustDomain: 'a.org' })).trustDomain).toBe(
    'a.org',
  );
});

test('RefreshBundle fetches from a real endpoint, and an older bundle never replaces a newer one', async () => {
  await using server = await startTestServer();
  const { local } = server;
  const foreign = await testAuthority('foreign.org');
  const document = (sequence: bigint) =>
    serializeSpiffeBundle({
      trustDomain: parseTrustDomain('foreign.org'),
      x509Authorities: [foreign.certificate],
      jwtAuthorities: new Map(),
      witAuthorities: new Map(),
      sequence,
      refreshHint: 60,
    });
  const endpoint = await startEndpoint(await foreign.issue('/endpoint'), document(5n));
  const refresh = (trustDomain: string) => failureOf(local.unary(method.refreshBundle, { trustDomain }));
  expect(await refresh('foreign.org')).toBe('NOT_FOUND: no relationship with trust domain "foreign.org"');
  expect(await refresh(TRUST_DOMAIN)).toMatch(/^NOT_FOUND/);
  await local.unary(method.batchCreateFederationRelationship, {
    federationRelationships: [
      web('foreign.org', { bundleEndpointUrl: endpoint.url, ...spiffe('spiffe://foreign.org/endpoint') }),
    ],
  });
  expect(await refresh('foreign.org')).toMatch(/^INTERNAL: failed to refresh bundle: .*no bundle/);
  const asn1 = foreign.certificate.der;
  await local.unary(Bundle.method.batchSetFederatedBundle, {
    bundle: [{ trustDomain: 'foreign.org', x509Authorities: [{ asn1 }] }],
  });
  const sequence = async () =>
    (await local.unary(Bundle.method.getFederatedBundle, { trustDomain: 'foreign.org' })).sequenceNumber;
  expect(await refresh('foreign.org')).toBe('OK');
  expect(await sequence()).toBe(5n);
  endpoint.answer = document(4n);
  expect(await refresh('foreign.org')).toBe('OK');
  expect(await sequence()).toBe(5n);
  endpoint.close();
  expect(await refresh('foreign.org')).toMatch(/^INTERNAL: failed to refresh bundle: /);
});
