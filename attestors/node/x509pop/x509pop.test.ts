import { Buffer } from 'node:buffer';
import { createHash, sign, constants } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTrustDomain } from '../../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../../sdk/x509-svid/certificate.ts';
import { pemOf } from '../../../sdk/x509-svid/pem.ts';
import { testAuthority, type TestAuthority } from '../../../test/support/authority.ts';
import {
  KEY_ENCIPHERMENT,
  pkiCertificate,
  type PkiCertificate,
  type PkiRequest,
} from '../../../test/support/pki.ts';
import { attest, testNodeAttestor } from '../contract.ts';
import { createX509popAgent } from './agent.ts';
import { parsePathTemplate } from './path-template.ts';
import { x509popAttestor, type X509popOptions } from './server.ts';

const trustDomain = parseTrustDomain('example.org');
const folder = mkdtempSync(join(tmpdir(), 'x509pop-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let root: PkiCertificate;
let intermediate: PkiCertificate;
beforeAll(async () => {
  root = await pkiCertificate({ subject: 'CN=root', ca: true });
  intermediate = await pkiCertificate({ subject: 'CN=between', ca: true, issuer: root });
});

let files = 0;
const agentOf = (chain: readonly Uint8Array[], pkcs8: Uint8Array) => {
  const certificateFile = join(folder, `${++files}.pem`);
  const privateKeyFile = join(folder, `${files}.key`);
  writeFileSync(certificateFile, pemOf('CERTIFICATE', chain));
  writeFileSync(privateKeyFile, pemOf('PRIVATE KEY', [pkcs8]));
  return createX509popAgent({ certificateFile, privateKeyFile });
};
const agentFor = ({ der, privateKey }: PkiCertificate, ...above: readonly PkiCertificate[]) =>
  agentOf(
    [der, ...above.map((certificate) => certificate.der)],
    privateKey.export({ type: 'pkcs8', format: 'der' }),
  );
const serverFor = (over: Partial<X509popOptions> = {}) =>
  x509popAttestor({
    trustDomain,
    authorities: { mode: 'external_pki', certificates: [parseCertificate(root.der)] },
    ...over,
  });
const node = (over: Partial<PkiRequest> = {}) =>
  pkiCertificate({ subject: 'CN=node-1, O=Me', issuer: intermediate, ...over });
const sha1 = (der: Uint8Array) => createHash('sha1').update(der).digest('hex');

testNodeAttestor({
  name: 'x509pop',
  create: async () => ({ agent: agentFor(await node(), intermediate), server: serverFor() }),
});

describe('external_pki', () => {
  test.each(['P-256', 'P-384', 'RSA-2048'] as const)(
    'a node with a %s key, by fingerprint',
    async (algorithm) => {
      const leaf = await node({
        algorithm,
        names: [
          { type: 'url', value: 'x509pop://example.org/cluster/a/b' },
          { type: 'url', value: 'x509pop://example.org/cluster' },
          { type: 'url', value: 'x509pop://other.org/cluster/test' },
        ],
      });
      const { attestation } = await attest(serverFor(), agentFor(leaf, intermediate));
      expect(attestation).toEqual({
        agentPath: `/spire/agent/x509pop/${sha1(leaf.der)}`,
        canReattest: true,
        selectors: [
          'subject:cn:node-1',
          `ca:fingerprint:${sha1(intermediate.der)}`,
          `ca:fingerprint:${sha1(root.der)}`,
          `serialnumber:${parseCertificate(leaf.der).serial}`,
          'san:cluster:a/b',
        ].map((value) => ({ type: 'x509pop', value })),
      });
    },
  );

  test.each<[string, Partial<PkiRequest>, Partial<X509popOptions>, boolean, RegExp]>([
    ['an expired certificate', { notAfter: Date.now() - 1 }, {}, true, /expired/],
    [
      'one that is not for signatures',
      { usage: KEY_ENCIPHERMENT },
      {},
      true,
      /not intended for digital signatures/,
    ],
    ['one without its intermediate', {}, {}, false, /leads to no CA/],
    ['one with too many intermediates', {}, { maxIntermediates: 0 }, true, /1 intermediates; at most 0/],
    [
      'too large an RSA key',
      { algorithm: 'RSA-2048' },
      { maxRsaKeySize: 1_024 },
      true,
      /2048 bits; at most 1024/,
    ],
  ])('refuses %s', async (_, request, options, withIntermediate, message) => {
    const agent = agentFor(await node(request), ...(withIntermediate ? [intermediate] : []));
    await expect(attest(serverFor(options), agent)).rejects.toThrow(message);
  });

  test('a certificate of another CA is refused', async () => {
    const other = await pkiCertificate({ subject: 'CN=root', ca: true });
    const agent = agentFor(await pkiCertificate({ subject: 'CN=node', issuer: other }));
    await expect(attest(serverFor(), agent)).rejects.toThrow(/certificate verification failed/);
  });

  test('the address of the caller, where it counts', async () => {
    const server = serverFor({ verifyClientIp: true });
    const agent = agentFor(await node({ names: [{ type: 'ip', value: '192.0.2.1' }] }), intermediate);
    await attest(server, agent, { address: '192.0.2.1' });
    await attest(server, agent, { address: '::ffff:192.0.2.1' });
    await expect(attest(server, agent, { address: '192.0.2.2' })).rejects.toThrow(
      /not for the address 192.0.2.2/,
    );
    await expect(attest(server, agent)).rejects.toThrow(/client IP verification failed/);
  });

  test('paths by template; a name cannot climb', async () => {
    const server = (agentPathTemplate: string) => serverFor({ agentPathTemplate });
    const pathOf = async (template: string, subject = 'CN=node-1') =>
      (await attest(server(template), agentFor(await node({ subject }), intermediate))).attestation.agentPath;
    expect(await pathOf('/hosts/{{ .Subject.CommonName }}')).toBe('/spire/agent/hosts/node-1');
    expect(await pathOf('{{.PluginName}}/{{ .TrustDomain }}')).toBe('/spire/agent/x509pop/example.org');
    await expect(pathOf('{{ .Subject.CommonName }}', 'CN=a/b')).rejects.toThrow(/no agent path/);
    await expect(pathOf('{{ .Subject.CommonName }}', 'O=only')).rejects.toThrow(/no Subject.CommonName/);
    expect(() => server('{{ .SVIDPathTrimmed }}')).toThrow(/is not known; the fields are/);
  });
});

test('spiffe: an SVID below the prefix is exchanged', async () => {
  const authority: TestAuthority = await testAuthority('example.org');
  const foreign = await testAuthority('other.org');
  const server = (prefix?: string) =>
    serverFor({ authorities: { mode: 'spiffe', bundles: authority.bundles, prefix } });
  const agentWith = async (path: string, from = authority) => {
    const svid = await from.issue(path);
    return agentOf(svid.certificates, svid.privateKey);
  };
  const { attestation } = await attest(server(), await agentWith('/spire-exchange/hosts/one'));
  expect(attestation.agentPath).toBe('/spire/agent/x509pop/hosts/one');
  expect((await attest(server('x'), await agentWith('/x/two'))).attestation.agentPath).toBe(
    '/spire/agent/x509pop/two',
  );
  await expect(attest(server(), await agentWith('/spire-exchanged/one'))).rejects.toThrow(
    /not below \/spire-exchange\//,
  );
  await expect(attest(server(), await agentWith('/spire-exchange/one', foreign))).rejects.toThrow(
    /no bundle/,
  );
});

test('the signature of a Go agent: RSA-PSS with the longest salt, numbers without leading zeros', async () => {
  const leaf = await node({ algorithm: 'RSA-2048' });
  const server = serverFor();
  const chain = [leaf, intermediate].map(({ der }) => Buffer.from(der).toString('base64'));
  const steps = server.attest(Buffer.from(JSON.stringify({ certificates: chain })));
  const challenge = JSON.parse(Buffer.from((await steps.next()).value as Uint8Array).toString()) as {
    rsa_signature: { nonce: string };
  };
  const nonce = Buffer.alloc(32, 7);
  const signature = sign(
    'sha256',
    Buffer.concat([Buffer.from(challenge.rsa_signature.nonce, 'base64'), nonce]),
    {
      key: leaf.privateKey,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN,
    },
  );
  const answer = {
    rsa_signature: { nonce: nonce.toString('base64'), signature: signature.toString('base64') },
  };
  expect((await steps.next(Buffer.from(JSON.stringify(answer)))).done).toBe(true);
});

test('the agent says which file is at fault, and nothing of what is in it', async () => {
  const certificateFile = join(folder, 'only.pem');
  writeFileSync(certificateFile, pemOf('CERTIFICATE', [root.der]));
  const privateKeyFile = join(folder, 'no.key');
  writeFileSync(privateKeyFile, 'secret');
  const begin = (over: object) => createX509popAgent({ certificateFile, privateKeyFile, ...over }).begin();
  await expect(begin({})).rejects.toThrow(/no.key holds no private key in PEM, or one that is encrypted$/);
  await expect(begin({ certificateFile: privateKeyFile })).rejects.toThrow(/holds no certificate in PEM/);
  await expect(begin({ privateKeyFile: join(folder, 'none') })).rejects.toThrow(/none cannot be read/);
});

test('templates', () => {
  const known = ['A', 'B.C'];
  expect(parsePathTemplate('x/{{ .A }}-{{.B.C}}', known)({ A: '1', 'B.C': '2' })).toBe('x/1-2');
  for (const bad of ['{{ .X }}', '{{ .A | upper }}', '{{ if .A }}', '{{ .A }', 'a }}', '{{', '{{ A }}']) {
    expect(() => parsePathTemplate(bad, known)).toThrow(/not known|unbalanced/);
  }
});
