import { Buffer } from 'node:buffer';
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { parseSpiffeId, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { createSvidIssuer } from '../../sdk/x509-svid/template.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { csrWith, subjectOf, type CsrNames } from '../../test/support/csr.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';

const { method } = SVID;
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const id = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });
const named = (path: string) => `spiffe://${TRUST_DOMAIN}${path}` as SpiffeId;

const csr = (names: CsrNames = {}) => csrWith({ uris: [named('/web')], ...names });

describe('MintX509SVID', () => {
  test('takes ID, DNS names and subject from the CSR, and the TTL from the request', async () => {
    await using server = await startTestServer();
    const mint = async (request: object) => (await server.local.unary(method.mintX509SVID, request)).svid!;
    const plain = await mint({ csr: createCsr(newKey(), named('/web')), ttl: 60 });
    const leaf = parseCertificate(plain.certChain[0]!);
    expect(leaf.notAfter - leaf.notBefore).toBe(70_000);
    expect([plain.id, plain.expiresAt]).toMatchObject([id('/web'), BigInt(leaf.notAfter / 1_000)]);
    expect(plain.certChain).toHaveLength(1);
    const mintedSubject = async (names: CsrNames) =>
      subjectOf((await mint({ csr: await csr(names) })).certChain[0]!);
    expect(await mintedSubject({})).toBe('O=Sigil');
    expect(await mintedSubject({ subject: 'C=DE, O=Me, CN=mine' })).toBe('C=DE, O=Me, CN=mine');
    expect(await mintedSubject({ dns: ['a.example', 'b.example'] })).toBe('O=Sigil, CN=a.example');
    expect(await mintedSubject({ subject: 'CN=mine, O=Me', dns: ['a.example'] })).toBe('O=Me, CN=a.example');
  });

  test('refuses every CSR that orders something else than one workload of this trust domain', async () => {
    await using server = await startTestServer();
    const mint = (bytes: Uint8Array, ttl = 0) =>
      failureOf(server.local.unary(method.mintX509SVID, { csr: bytes, ttl }));
    const forged = Buffer.from(createCsr(newKey(), named('/web')));
    forged[forged.length - 1]! ^= 1;
    expect(await mint(new Uint8Array())).toBe('INVALID_ARGUMENT: missing CSR');
    expect(await mint(new Uint8Array(10))).toMatch(/^INVALID_ARGUMENT: malformed CSR/);
    expect(await mint(new Uint8Array(1_000_000))).toMatch(/^INVALID_ARGUMENT: the CSR is larger than/);
    expect(await mint(forged)).toMatch(/^INVALID_ARGUMENT: (invalid CSR signature|malformed CSR)/);
    expect(await mint(await csr({ uris: [] }))).toBe('INVALID_ARGUMENT: CSR URI SAN is required');
    expect(await mint(await csr({ uris: [named('/a'), named('/b')] }))).toBe(
      'INVALID_ARGUMENT: only one URI SAN is expected',
    );
    for (const uri of [
      'http://x',
      'spiffe://other.org/web',
      named(''),
      named('/spire'),
      named('/spire/server'),
    ]) {
      expect(await mint(await csr({ uris: [uri] }))).toMatch(/^INVALID_ARGUMENT: CSR URI SAN is invalid: /);
    }
    for (const dns of [['-a'], ['a..b'], ['*.a.b', 'x.a.b'], ['a.']]) {
      expect(await mint(await csr({ dns }))).toMatch(/^INVALID_ARGUMENT: CSR DNS name is not valid: /);
    }
    expect(await mint(createCsr(newKey(), named('/web')), -1)).toBe(
      'INVALID_ARGUMENT: the TTL must not be negative',
    );
    const { privateKey: weak } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(await mint(createCsr(weak, named('/web')))).toMatch(/^INVALID_ARGUMENT: .*1024 bits/);
  });
});

describe('JWT-SVIDs', () => {
  test('MintJWTSVID: subject, audience, times; never an ID of its own', async () => {
    await using server = await startTestServer({ config: { jwt_issuer: 'https://oidc.example.org' } });
    const mint = (request: object) => server.local.unary(method.mintJWTSVID, request);
    const { svid } = await mint({ id: id('/web'), audience: ['db', '', 'other'], ttl: 90 });
    const claims = decodeJwt(svid!.token);
    expect(claims).toEqual({
      sub: named('/web'),
      aud: ['db', 'other'],
      iat: Number(svid!.issuedAt),
      exp: Number(svid!.expiresAt),
      iss: 'https://oidc.example.org',
    });
    expect(claims.exp! - claims.iat!).toBe(90);
    const { svid: usual } = await mint({ id: id('/web'), audience: ['db'] });
    expect(usual!.expiresAt - usual!.issuedAt).toBe(300n);

    const refused = (request: object) => failureOf(mint(request));
    const none = 'INVALID_ARGUMENT: at least one audience is required';
    expect(await refused({ id: id('/web') })).toBe(none);
    expect(await refused({ id: id('/web'), audience: [''] })).toBe(none);
    for (const bad of [
      undefined,
      id(''),
      id('/spire/x'),
      { trustDomain: 'other.org', path: '/x' },
      id('x'),
    ]) {
      expect(await refused({ id: bad, audience: ['db'] })).toMatch(/^INVALID_ARGUMENT: invalid SPIFFE ID: /);
    }
    expect(await refused({ id: id('/web'), audience: ['db'], ttl: -1 })).toMatch(
      /^INVALID_ARGUMENT: the TTL/,
    );
    expect(await refused({ id: id('/web'), audience: Array(200).fill('x') })).toMatch(/^INVALID_ARGUMENT/);
  });

  test('NewJWTSVID: what the entry says, for an agent that may serve it', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const client = await server.connect(agent);
    const { results } = await server.local.unary(Entry.method.batchCreateEntry, {
      entries: ['/plain', '/special'].map((path, index) => ({
        parentId: id(agent.path),
        spiffeId: id(path),
        selectors: [{ type: 'unix', value: 'uid:1' }],
        ...(index === 1 && { jwtSvidTtl: 60, hint: 'h', additionalAttributes: { jwtSvidIncludeJti: true } }),
      })),
    });
    const [plain, special] = results.map(({ entry }) => entry!.id);
    const elsewhere = await server.register({ parent: '/else', path: '/x', selector: 'unix:uid:1' });
    const issue = (entryId: string, audience = ['db']) =>
      client.unary(method.newJWTSVID, { entryId, audience });
    expect(decodeJwt((await issue(plain!)).svid!.token)).not.toHaveProperty('jti');
    const { svid } = await issue(special!);
    expect([svid!.hint, svid!.id!.path, svid!.expiresAt - svid!.issuedAt]).toEqual(['h', '/special', 60n]);
    expect(decodeJwt(svid!.token).jti).toMatch(/^[\w-]{22}$/);
    expect(decodeJwt((await issue(special!)).svid!.token).jti).not.toBe(decodeJwt(svid!.token).jti);
    const unknown = 'NOT_FOUND: entry not found or not authorized';
    expect(await failureOf(issue(elsewhere))).toBe(unknown);
    expect(await failureOf(issue('nobody'))).toBe(unknown);
    expect(await failureOf(issue(''))).toBe('INVALID_ARGUMENT: missing entry ID');
    expect(await failureOf(issue(plain!, []))).toBe('INVALID_ARGUMENT: at least one audience is required');
  });
});

test('WIT-SVIDs: minted and issued for a key with an algorithm that fits it, where they are on', async () => {
  await using server = await startTestServer({ config: { experimental: { wit_svids: true } } });
  const spki = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'der' });
  const publicKey = spki(newKey());
  const mint = (request: object) =>
    server.local.unary(method.mintWITSVID, { id: id('/web'), publicKey, ...request });
  const { svid } = await mint({ signingAlgorithm: 'ES256', ttl: 60 });
  expect(decodeProtectedHeader(svid!.token).typ).toBe('wit+jwt');
  expect(decodeJwt(svid!.token)).toMatchObject({ sub: named('/web'), cnf: { jwk: { alg: 'ES256' } } });
  expect(svid!.expiresAt - svid!.issuedAt).toBe(60n);
  for (const [algorithm, options] of [
    ['RS256', { modulusLength: 2048 }],
    ['PS512', { modulusLength: 2048 }],
  ] as const) {
    const { privateKey } = generateKeyPairSync('rsa', options);
    await mint({ publicKey: spki(privateKey), signingAlgorithm: algorithm });
  }
  for (const signingAlgorithm of ['ES123', 'RS256', '', 'none', 'ES384']) {
    expect(await failureOf(mint({ signingAlgorithm }))).toMatch(/^INVALID_ARGUMENT: signing algorithm/);
  }
  expect(await failureOf(mint({ publicKey: new Uint8Array(), signingAlgorithm: 'ES256' }))).toBe(
    'INVALID_ARGUMENT: missing public key',
  );
  expect(await failureOf(mint({ publicKey: new Uint8Array(5), signingAlgorithm: 'ES256' }))).toMatch(
    /^INVALID_ARGUMENT: the public key cannot be read/,
  );

  const agent = await server.attest();
  const entryId = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
  const { results } = await (
    await server.connect(agent)
  ).unary(method.batchNewWITSVID, {
    params: [
      { entryId, publicKey, signingAlgorithm: 'ES256' },
      { entryId: '' },
      { entryId: 'x', publicKey, signingAlgorithm: 'ES256' },
      { entryId, publicKey, signingAlgorithm: 'x' },
    ],
  });
  // SPIRE leaves the status of an item that went well empty; here it is there.
  expect(results.map(({ status }) => status!.code)).toEqual([0, 3, 5, 3]);
  expect(results[0]!.svid!.id!.path).toBe('/web');
});

describe('NewDownstreamX509CA', () => {
  const caOf = async (server: TestServer, over: object, request: object) => {
    const agent = await server.attest();
    const client = await server.connect(await server.issue(agent, '/nested', { downstream: true, ...over }));
    return client.unary(method.newDownstreamX509CA, request);
  };

  test('gives a signing certificate whose leaves verify against the bundle', async () => {
    await using server = await startTestServer();
    const privateKey = newKey();
    const { caCertChain, x509Authorities } = await caOf(
      server,
      {},
      { csr: createCsr(privateKey), preferredTtl: 600 },
    );
    const bundle = await server.local.unary(Bundle.method.getBundle, {});
    expect(x509Authorities.map((der) => Buffer.from(der))).toEqual(
      bundle.x509Authorities.map(({ asn1 }) => Buffer.from(asn1)),
    );
    const certificate = parseCertificate(caCertChain[0]!);
    expect(certificate.notAfter - certificate.notBefore).toBe(610_000);
    const issue = createSvidIssuer({
      certificate,
      publicKey: createPublicKey(privateKey),
      sign: (tbs) => sign('sha256', tbs, privateKey),
    });
    const leaf = await issue({
      id: parseSpiffeId(named('/below')),
      publicKeyInfo: createPublicKey(newKey()).export({ type: 'spki', format: 'der' }),
      notBefore: Date.now() - 1_000,
      notAfter: Date.now() + 60_000,
    });
    const bundles = x509BundleSet([parseX509Bundle(TRUST_DOMAIN, Buffer.concat(x509Authorities))]);
    expect(verifyX509Svid([leaf, ...caCertChain], bundles).id).toBe(named('/below'));
  });

  test('lives as long as the entry says, else as long as a CA of ours, and never longer than its signer', async () => {
    await using server = await startTestServer();
    const { caCertChain } = await caOf(server, { x509SvidTtl: 60 }, { csr: createCsr(newKey()) });
    const short = parseCertificate(caCertChain[0]!);
    expect(short.notAfter - short.notBefore).toBe(70_000);
    await using other = await startTestServer();
    const root = parseCertificate(
      (await other.local.unary(Bundle.method.getBundle, {})).x509Authorities[0]!.asn1,
    );
    const long = parseCertificate((await caOf(other, {}, { csr: createCsr(newKey()) })).caCertChain[0]!);
    expect(long.notAfter).toBe(root.notAfter);
  });

  test('refuses a malformed CSR', async () => {
    await using server = await startTestServer();
    const agent = await server.attest();
    const client = await server.connect(await server.issue(agent, '/nested', { downstream: true }));
    const ask = (request: object) => failureOf(client.unary(method.newDownstreamX509CA, request));
    expect(await ask({})).toBe('INVALID_ARGUMENT: missing CSR');
    expect(await ask({ csr: new Uint8Array(9) })).toMatch(/^INVALID_ARGUMENT: malformed CSR/);
    expect(await ask({ csr: createCsr(newKey()), preferredTtl: -1 })).toMatch(/^INVALID_ARGUMENT: the TTL/);
  });
});
