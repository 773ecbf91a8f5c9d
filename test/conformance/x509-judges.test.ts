// Independent judges of the chains that we issue: the path validation of Node's own TLS, and of `openssl verify`.
import { execFile, execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { createSvidIssuer, issueX509Authority } from '../../sdk/x509-svid/template.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { testAuthority } from '../support/authority.ts';

interface Chain {
  readonly name: string;
  readonly root: Uint8Array;
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: Uint8Array;
}

const openssl = hasOpenssl();
let chains: Chain[];
let stranger: Uint8Array;
let folder: string;

beforeAll(async () => {
  const root = await testAuthority();
  stranger = (await testAuthority()).certificate.der;
  folder = await mkdtemp(join(tmpdir(), 'sigil-test-'));
  const direct = await root.issue('/web', { dnsNames: ['web.example.org'] });
  chains = [
    { name: 'leaf', root: root.certificate.der, ...direct },
    await chainOf(root, 'P-256', 'P-384'),
    await chainOf(root, 'P-384', 'P-256'),
  ];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

// Root, intermediate, leaf, on two curves.
async function chainOf(
  root: Awaited<ReturnType<typeof testAuthority>>,
  curve: string,
  leafCurve: string,
): Promise<Chain> {
  const [between, leaf] = [curve, leafCurve].map((namedCurve) => generateKeyPairSync('ec', { namedCurve }));
  const times = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 600_000 };
  const intermediate = await issueX509Authority({
    trustDomain: parseTrustDomain('example.org'),
    publicKey: between!.publicKey,
    ...times,
    sign: (tbs) => sign('sha256', tbs, root.privateKey),
    issuer: { certificate: root.certificate, publicKey: createPublicKey(root.privateKey) },
    pathLength: 0,
  });
  const issue = createSvidIssuer({
    certificate: parseCertificate(intermediate),
    publicKey: between!.publicKey,
    sign: (tbs) => sign(curve === 'P-384' ? 'sha384' : 'sha256', tbs, between!.privateKey),
  });
  const publicKeyInfo = leaf!.publicKey.export({ type: 'spki', format: 'der' });
  return {
    name: `intermediate ${curve}, leaf ${leafCurve}`,
    root: root.certificate.der,
    certificates: [await issue({ id: root.id('/web'), publicKeyInfo, ...times }), intermediate],
    privateKey: leaf!.privateKey.export({ type: 'pkcs8', format: 'der' }),
  };
}

const certificatePem = (...documents: readonly Uint8Array[]) => pemOf('CERTIFICATE', documents);

// Both sides present the chain and ask for the other's. `undefined` is acceptance.
async function handshake({ certificates, privateKey }: Chain, root: Uint8Array): Promise<string | undefined> {
  const credentials = {
    cert: certificatePem(...certificates),
    key: pemOf('PRIVATE KEY', [privateKey]),
    ca: certificatePem(root),
    rejectUnauthorized: true,
  };
  const server = tls.createServer({ ...credentials, requestCert: true }, (socket) => socket.end('yes'));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({
    ...credentials,
    host: '127.0.0.1',
    port,
    checkServerIdentity: () => undefined,
  });
  try {
    const [data] = (await once(socket, 'data')) as [Uint8Array];
    return String(data) === 'yes' ? undefined : 'no answer';
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    socket.destroy();
    server.close();
  }
}

async function opensslVerify({ certificates }: Chain, root: Uint8Array, purpose: string): Promise<string> {
  const [leaf, ...others] = certificates;
  const files = { root: [root], leaf: [leaf!], chain: others };
  for (const [name, documents] of Object.entries(files))
    await writeFile(join(folder, `${name}.pem`), certificatePem(...documents));
  const untrusted = others.length === 0 ? [] : ['-untrusted', 'chain.pem'];
  const args = [
    'verify',
    '-x509_strict',
    '-purpose',
    purpose,
    '-CAfile',
    'root.pem',
    ...untrusted,
    'leaf.pem',
  ];
  return promisify(execFile)('openssl', args, { cwd: folder }).then(
    ({ stdout }) => stdout.trim(),
    (error: { stderr: string }) => error.stderr,
  );
}

describe('chains that we issue', () => {
  it('X509-21: our own verifier accepts each, and none by a stranger', () => {
    for (const { name, root, certificates } of chains) {
      const of = (der: Uint8Array) => x509BundleSet([parseX509Bundle('example.org', der)]);
      expect(verifyX509Svid(certificates, of(root)).id, name).toBe('spiffe://example.org/web');
      expect(() => verifyX509Svid(certificates, of(stranger)), name).toThrow(
        expect.objectContaining({ code: 'ERR_SVID_UNTRUSTED' }),
      );
    }
  });

  it('X509-21: the TLS of the runtime accepts each in both roles, and none by a stranger', async () => {
    for (const chain of chains) {
      expect(await handshake(chain, chain.root), chain.name).toBeUndefined();
      expect(await handshake(chain, stranger), chain.name).toMatch(/./);
    }
  });

  it.skipIf(!openssl)(
    'openssl verify -x509_strict accepts each for servers and clients, none by a stranger',
    async () => {
      for (const chain of chains) {
        for (const purpose of ['sslserver', 'sslclient'])
          expect(await opensslVerify(chain, chain.root, purpose), chain.name).toBe('leaf.pem: OK');
        expect(await opensslVerify(chain, stranger, 'sslserver'), chain.name).toMatch(/unable to get|error/);
      }
    },
  );
});

function hasOpenssl(): boolean {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL');
  } catch {
    return false;
  }
}
