// A clock that is set back an hour, or forward, under a server that runs.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { failureOf, startTestServer } from '../../identity-server/testing.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';

const HOUR = 3_600_000;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

test('set back an hour, it serves on, makes no new authorities, and its SVIDs are short', async () => {
  let offset = 0;
  const now = () => Date.now() + offset;
  await using server = await startTestServer({ now, config: { default_x509_svid_ttl: '20s' } });
  const agent = await server.attest();
  const id = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
  const past = Math.floor(Date.now() / 1_000) - 10;
  const expired = await server.register({
    parent: agent.path,
    path: '/old',
    selector: 'unix:uid:2',
    expiresAt: past,
  });
  const client = await server.connect(agent);
  const sign = async (entryId: string) => {
    const { results } = await client.unary(SVID.method.batchNewX509SVID, {
      params: [{ entryId, csr: createCsr(privateKey) }],
    });
    const { status, svid } = results[0]!;
    return status!.code === 0 ? new X509Certificate(svid!.certChain[0]!) : status!.message;
  };
  const roots = async () => (await server.local.unary(Bundle.method.getBundle, {})).x509Authorities.length;
  const before = (await sign(id)) as X509Certificate;
  expect(await sign(expired)).toBe('entry not found or not authorized');

  offset = -HOUR;
  // Several turns of rotation, one second each.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const after = (await sign(id)) as X509Certificate;
  expect(after.validToDate.getTime() - before.validToDate.getTime()).toBeLessThan(-HOUR + 10_000);
  expect(await roots()).toBe(1);
  // What was judged expired stays so for an agent that was judged.
  expect(await sign(expired)).toBe('entry not found or not authorized');
  expect(server.lines.some((line) => line.includes('"level":"error"'))).toBe(false);
  expect(server.lines.some((line) => line.includes('the clock was set back by 3600 s'))).toBe(true);

  offset = 0;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await sign(id)).toBeInstanceOf(X509Certificate);
  expect(await failureOf(server.attest())).toBe('OK');
});
