// svid x509 mint | jwt mint | wit mint: SVIDs from the server itself, for who may administer it. Keys are made here.
import { Buffer } from 'node:buffer';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from '../../daemon/files.ts';
import type { KeyType } from '../../daemon/key-manager/key-manager.ts';
import { generatePrivateKey } from '../../daemon/key-manager/local-key.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { MintJWTSVIDResponseSchema, SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { stringifyJson } from '../../sdk/json/stringify.ts';
import { parseSpiffeId } from '../../sdk/spiffe-id.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { parseSecondsOption } from '../durations.ts';
import { CliError, ExitCode } from '../errors.ts';
import { note, print, printJson, timeOf } from '../output.ts';
import { withServer, type ServerOptions } from '../server-call.ts';
import { jsonOf, wireId } from '../wire.ts';

interface MintOptions extends ServerOptions {
  readonly spiffeId: string;
  readonly ttl?: string;
  readonly write?: string;
}

export async function x509(options: MintOptions & { dnsName?: string[] }): Promise<void> {
  const ttl = secondsOf(options.ttl);
  wireId(options.spiffeId, '--spiffe-id');
  const privateKey = await generatePrivateKey('ec-p256');
  const csr = createCsr(privateKey, parseSpiffeId(options.spiffeId), { dnsNames: options.dnsName });
  const { svid, roots } = await withServer(options, async (client) => {
    const { svid } = await client.unary(SVID.method.mintX509SVID, { csr, ttl });
    const { x509Authorities } = await client.unary(Bundle.method.getBundle, {
      outputMask: { x509Authorities: true },
    });
    return { svid: svid!, roots: x509Authorities.map(({ asn1 }) => asn1) };
  });
  warnIfCapped(ttl, svid.expiresAt);
  const key = privateKey.export({ type: 'pkcs8', format: 'der' });
  const files = {
    'svid.pem': pemOf('CERTIFICATE', svid.certChain),
    'key.pem': pemOf('PRIVATE KEY', [key]),
    'bundle.pem': pemOf('CERTIFICATE', roots),
  };
  if (options.write !== undefined) await writeAll(options.write, files);
  else if (options.output === 'json') {
    const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64');
    printJson({
      x509_svid: svid.certChain.map(base64),
      private_key: base64(key),
      root_cas: roots.map(base64),
    });
  } else {
    print(
      `X509-SVID:\n${files['svid.pem']}\nPrivate key:\n${files['key.pem']}\nRoot CAs:\n${files['bundle.pem']}`,
    );
  }
}

export async function jwt(options: MintOptions & { audience: string[] }): Promise<void> {
  const request = {
    id: wireId(options.spiffeId, '--spiffe-id'),
    audience: options.audience,
    ttl: secondsOf(options.ttl),
  };
  const answer = await withServer(options, (client) => client.unary(SVID.method.mintJWTSVID, request));
  warnIfCapped(request.ttl, answer.svid!.expiresAt);
  if (options.write !== undefined) {
    await writePrivateFile(options.write, `${answer.svid!.token}\n`);
    note(`wrote ${options.write}`);
  } else if (options.output === 'json') printJson(jsonOf(MintJWTSVIDResponseSchema, answer));
  else print(`${answer.svid!.token}\n`);
}

export async function wit(
  options: MintOptions & { keyType: KeyType; signingAlgorithm?: string },
): Promise<void> {
  const privateKey = await generatePrivateKey(options.keyType);
  const signingAlgorithm = options.signingAlgorithm ?? DEFAULT_ALGORITHMS[options.keyType];
  const request = {
    id: wireId(options.spiffeId, '--spiffe-id'),
    publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    signingAlgorithm,
    ttl: secondsOf(options.ttl),
  };
  const { svid } = await withServer(options, (client) => client.unary(SVID.method.mintWITSVID, request));
  warnIfCapped(request.ttl, svid!.expiresAt);
  const key = stringifyJson({ ...privateJwk(privateKey), alg: signingAlgorithm });
  if (options.write !== undefined)
    await writeAll(options.write, { token: `${svid!.token}\n`, key: `${key}\n` });
  else if (options.output === 'json')
    printJson({ token: svid!.token, private_key: JSON.parse(key) as unknown });
  else print(`WIT-SVID:\n${svid!.token}\n\nPrivate key:\n${key}\n`);
}

const DEFAULT_ALGORITHMS: Readonly<Record<KeyType, string>> = {
  'ec-p256': 'ES256',
  'ec-p384': 'ES384',
  'rsa-2048': 'RS256',
  'rsa-4096': 'RS256',
};

function privateJwk(key: KeyObject): Record<string, string> {
  return key.export({ format: 'jwk' }) as Record<string, string>;
}

function secondsOf(ttl: string | undefined): number {
  return ttl === undefined ? 0 : parseSecondsOption(ttl, '--ttl');
}

function warnIfCapped(ttl: number, expiresAt: bigint): void {
  if (ttl > 0 && Number(expiresAt) < Date.now() / 1_000 + ttl - 5) {
    note(`the lifetime was cut to end with the authority that signed: ${timeOf(expiresAt)}`);
  }
}

async function writeAll(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [name, content] of Object.entries(files)) await writePrivateFile(join(folder, name), content);
  } catch (error) {
    throw new CliError(`${folder}: cannot be written: ${(error as Error).message}`, {
      exitCode: ExitCode.failure,
    });
  }
  note(`wrote ${Object.keys(files).join(', ')} to ${folder}`);
}
