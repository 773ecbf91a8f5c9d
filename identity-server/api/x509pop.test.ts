import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createX509popAgent } from '../../attestors/node/x509pop/agent.ts';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { pkiCertificate } from '../../test/support/pki.ts';
import { failureOf, startTestServer, TRUST_DOMAIN, type TestServer } from '../testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'x509pop-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Attests as an agent does: over a stream, with a challenge in between.
async function attest(server: TestServer, chain: readonly Uint8Array[], privateKey: KeyObject) {
  writeFileSync(join(folder, 'node.pem'), pemOf('CERTIFICATE', chain));
  writeFileSync(join(folder, 'node.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const attestor = createX509popAgent({
    certificateFile: join(folder, 'node.pem'),
    privateKeyFile: join(folder, 'node.key'),
  });
  const { payload, answer } = await attestor.begin();
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const call = (await server.connect()).bidiStream(Agent.method.attestAgent, { timeout: 10_000 });
  const params = { data: { type: 'x509pop', payload }, params: { csr: createCsr(own) } };
  call.send({ step: { case: 'params', value: params } });
  for await (const { step } of call.messages) {
    if (step.case === 'challenge') {
      call.send({ step: { case: 'challengeResponse', value: await answer!(step.value) } });
    } else {
      call.close();
      if (step.case === 'result') {
        const { svid, reattestable } = step.value;
        return { path: svid!.id!.path, privateKey: own, chain: svid!.certChain, reattestable };
      }
    }
  }
  throw new Error('no result');
}

test('a node attests by certificate, again when it likes, and is found by its selectors', async () => {
  const root = await pkiCertificate({ subject: 'CN=root', ca: true });
  const bundle = join(folder, 'ca.pem');
  writeFileSync(bundle, pemOf('CERTIFICATE', [root.der]));
  await using server = await startTestServer({
    config: { node_attestors: { x509pop: { ca_bundle_paths: [bundle], verify_client_ip: true } } },
  });
  const names = [{ type: 'ip' as const, value: '127.0.0.1' }];
  const node = await pkiCertificate({ subject: 'CN=node-1', issuer: root, names });
  const agent = await attest(server, [node.der], node.privateKey);
  expect(agent.reattestable).toBe(true);
  // A node alias by selector: entries below it are the agent's.
  await server.register({ parent: '/spire/server', path: '/cluster', selector: 'x509pop:subject:cn:node-1' });
  await server.register({ parent: '/cluster', path: '/web', selector: 'unix:uid:1' });
  await server.issue({ ...agent, path: '/cluster' }, '/api');

  const again = await attest(server, [node.der], node.privateKey);
  expect(again.path).toBe(agent.path);
  expect((await server.local.unary(Agent.method.countAgents, {})).count).toBe(1);
  const renew = (await server.connect(again)).unary(Agent.method.renewAgent, {
    params: { csr: createCsr(again.privateKey) },
  });
  expect(await failureOf(renew)).toBe('PERMISSION_DENIED: agent must reattest instead of renew');

  const { privateKey: wrong } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  expect(await failureOf(attest(server, [node.der], wrong))).toMatch(
    /^PERMISSION_DENIED: challenge response verification failed/,
  );
  const id = { trustDomain: TRUST_DOMAIN, path: agent.path };
  await server.local.unary(Agent.method.banAgent, { id });
  expect(await failureOf(attest(server, [node.der], node.privateKey))).toBe(
    'PERMISSION_DENIED: failed to attest: agent is banned',
  );
  await server.local.unary(Agent.method.deleteAgent, { id });
  expect((await attest(server, [node.der], node.privateKey)).path).toBe(agent.path);
});

test('a configuration that lets no node in is refused, and says which key is at fault', async () => {
  const start = (x509pop: object) => startTestServer({ config: { node_attestors: { x509pop } } });
  await expect(start({})).rejects.toThrow(/ca_bundle_paths: name a file/);
  await expect(start({ ca_bundle_paths: [join(folder, 'none')] })).rejects.toThrow(/ca_bundle_paths: .*none/);
  await expect(start({ mode: 'spiffe', agent_path_template: '{{ .X }}' })).rejects.toThrow(
    /agent_path_template: .*\.X/,
  );
});
