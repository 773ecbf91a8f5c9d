import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { failureOf, startTestServer, TRUST_DOMAIN } from '../testing.ts';

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

test('BatchNewX509SVID signs what the entry says, and answers each item on its own', async () => {
  await using server = await startTestServer({ config: { default_x509_svid_ttl: '10m' } });
  const agent = await server.attest();
  const client = await server.connect(agent);
  const web = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
  const elsewhere = await server.register({ parent: '/else', path: '/db', selector: 'unix:uid:1' });
  const { results: created } = await server.local.unary(Entry.method.batchCreateEntry, {
    entries: [
      {
        parentId: { trustDomain: TRUST_DOMAIN, path: agent.path },
        spiffeId: { trustDomain: TRUST_DOMAIN, path: '/named' },
        selectors: [{ type: 'unix', value: 'uid:2' }],
        dnsNames: ['a.example', 'b.example'],
        x509SvidTtl: 60,
        hint: 'second',
      },
    ],
  });
  const named = created[0]!.entry!.id;
  const key = newKey();
  const foreign = await testAuthority('other.org');
  const { results } = await client.unary(SVID.method.batchNewX509SVID, {
    params: [
      { entryId: web, csr: createCsr(key) },
      { entryId: elsewhere, csr: createCsr(key) },
      { entryId: 'unknown', csr: createCsr(key) },
      { entryId: '', csr: createCsr(key) },
      { entryId: web },
      { entryId: web, csr: new Uint8Array(100) },
      { entryId: web, csr: new Uint8Array(100_000) },
      { entryId: web, csr: createCsr(key, foreign.id('/web')) },
      { entryId: named, csr: createCsr(key) },
    ],
  });
  expect(results.map(({ status }) => [status!.code, status!.message])).toEqual([
    [0, 'OK'],
    [5, 'entry not found or not authorized'],
    [5, 'entry not found or not authorized'],
    [3, 'missing entry ID'],
    [3, 'missing CSR'],
    [3, expect.stringContaining('malformed CSR')],
    [3, expect.stringContaining('larger than')],
    [3, expect.stringContaining('not of example.org')],
    [0, 'OK'],
  ]);
  const svid = parseX509Svid(results[0]!.svid!.certChain[0]!, key.export({ type: 'pkcs8', format: 'der' }));
  expect(svid.id).toBe('spiffe://example.org/web');
  expect(results[0]!.svid!.expiresAt).toBe(BigInt(svid.notAfter / 1_000));
  // Ten minutes, and ten seconds that it is backdated by.
  expect(svid.notAfter - svid.notBefore).toBe(610_000);
  const second = parseCertificate(results[8]!.svid!.certChain[0]!);
  expect(second.extensions.subjectAltName?.dnsNames).toEqual(['a.example', 'b.example']);
  expect(second.notAfter - second.notBefore).toBe(70_000);
  expect(results[8]!.svid!.hint).toBe('second');
});

test('an agent that asks for the bundle of another trust domain hears that there is none', async () => {
  await using server = await startTestServer();
  const client = await server.connect(await server.attest());
  const get = (trustDomain: string) => client.unary(Bundle.method.getFederatedBundle, { trustDomain });
  expect(await failureOf(get('other.org'))).toBe('NOT_FOUND: bundle not found');
  expect(await failureOf(get('example.org'))).toMatch(/^INVALID_ARGUMENT: getting a federated bundle/);
  expect(await failureOf(get('Not One'))).toMatch(/^INVALID_ARGUMENT: trust domain argument is not valid/);
});

test('an SVID never outlives the certificate that signs it', async () => {
  await using server = await startTestServer({ config: { ca_ttl: '1m', default_x509_svid_ttl: '1h' } });
  const agent = await server.attest();
  expect(parseCertificate(agent.chain[0]!).notAfter).toBeLessThanOrEqual(Date.now() + 60_000);
});

test('a batch of 500 is signed, and one of 501 is refused', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  const client = await server.connect(agent);
  const entryId = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
  const params = Array.from({ length: 501 }, () => ({ entryId, csr: createCsr(newKey()) }));
  const { results } = await client.unary(SVID.method.batchNewX509SVID, { params: params.slice(1) });
  expect(results.every(({ status }) => status!.code === 0)).toBe(true);
  expect(await failureOf(client.unary(SVID.method.batchNewX509SVID, { params }))).toBe(
    'RESOURCE_EXHAUSTED: rate (501) exceeds burst size (500)',
  );
});
