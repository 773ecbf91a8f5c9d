// svid bundle show | list | set | delete | count
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  BatchDeleteFederatedBundleRequest_Mode as Mode,
  BatchDeleteFederatedBundleResponseSchema,
  BatchSetFederatedBundleResponseSchema,
  Bundle as BundleService,
  CountBundlesResponseSchema,
  ListFederatedBundlesResponseSchema,
} from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { BundleSchema, type Bundle, type JWTKey } from '../../sdk/api/gen/spire/api/types/bundle_pb.ts';
import { parseSpiffeBundle } from '../../sdk/bundle/parse-bundle.ts';
import { serializeSpiffeBundle } from '../../sdk/bundle/serialize-bundle.ts';
import { messageOf } from '../../sdk/error.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { parsePemCertificates, pemOf } from '../../sdk/x509-svid/pem.ts';
import { CliError, ExitCode } from '../errors.ts';
import { fileName, readText } from '../files.ts';
import { note, print, printJson, visible } from '../output.ts';
import { allPages, expectAllWell, withServer, type ServerOptions } from '../server-call.ts';
import { jsonOf } from '../wire.ts';

/** How a bundle is written: certificates alone, or everything. */
export type BundleFormat = 'pem' | 'spiffe';
type FormatOption = { readonly format: BundleFormat };

export async function show(options: ServerOptions & FormatOption): Promise<void> {
  const bundle = await withServer(options, (client) => client.unary(BundleService.method.getBundle, {}));
  if (options.output === 'json') printJson(jsonOf(BundleSchema, bundle));
  else print(bundleText(bundle, options.format));
}

export async function list(name: string | undefined, options: ServerOptions & FormatOption): Promise<void> {
  if (name !== undefined) {
    const bundle = await withServer(
      options,
      (client) => client.unary(BundleService.method.getFederatedBundle, { trustDomain: name }),
      `bundle of ${name}`,
    );
    if (options.output === 'json') printJson(jsonOf(BundleSchema, bundle));
    else print(bundleText(bundle, options.format));
    return;
  }
  const bundles = await withServer(options, (client) =>
    allPages(
      (pageToken) => client.unary(BundleService.method.listFederatedBundles, { pageSize: 100, pageToken }),
      (page) => page.bundles,
    ),
  );
  if (options.output === 'json') printJson(jsonOf(ListFederatedBundlesResponseSchema, { bundles }));
  else if (bundles.length === 0) note('no bundle of another trust domain is known');
  else print(bundles.map((bundle) => section(bundle, options.format)).join('\n'));
}

export async function count(options: ServerOptions): Promise<void> {
  const answer = await withServer(options, (client) => client.unary(BundleService.method.countBundles, {}));
  if (options.output === 'json') printJson(jsonOf(CountBundlesResponseSchema, answer));
  else print(`${answer.count}\n`);
}

export async function set(
  name: string,
  options: ServerOptions & FormatOption & { file: string },
): Promise<void> {
  const bundle = readBundle(name, await readText(options.file), options.format, fileName(options.file));
  const answer = await withServer(options, (client) =>
    client.unary(BundleService.method.batchSetFederatedBundle, { bundle: [bundle] }),
  );
  if (options.output === 'json') printJson(jsonOf(BatchSetFederatedBundleResponseSchema, answer));
  expectAllWell(answer.results, () => name, 'bundles could not be set');
  note(`set the bundle of ${name}`);
}

const MODES: Readonly<Record<string, Mode>> = {
  restrict: Mode.RESTRICT,
  dissociate: Mode.DISSOCIATE,
  delete: Mode.DELETE,
};

export async function remove(name: string, options: ServerOptions & { mode: string }): Promise<void> {
  const request = { trustDomains: [name], mode: MODES[options.mode] };
  const answer = await withServer(options, (client) =>
    client.unary(BundleService.method.batchDeleteFederatedBundle, request),
  );
  if (options.output === 'json') printJson(jsonOf(BatchDeleteFederatedBundleResponseSchema, answer));
  expectAllWell(answer.results, () => name, 'bundles could not be deleted');
  note(`deleted the bundle of ${name}`);
}

/**
 * Reads a bundle that somebody wrote.
 *
 * @throws CliError that names the file.
 */
export function readBundle(
  name: string,
  text: string,
  format: BundleFormat,
  file: string,
): MessageInitShape<typeof BundleSchema> {
  try {
    const trustDomain = parseTrustDomain(name);
    if (format === 'pem') {
      return { trustDomain, x509Authorities: parsePemCertificates(text).map(({ der }) => ({ asn1: der })) };
    }
    const bundle = parseSpiffeBundle(trustDomain, text, {
      onSkipped: ({ index, reason }) => note(`${file}: key ${index + 1} is left out: ${reason}`),
    });
    return {
      trustDomain,
      x509Authorities: bundle.x509Authorities.map(({ der }) => ({ asn1: der })),
      jwtAuthorities: [...bundle.jwtAuthorities].map(([keyId, key]) => ({
        keyId,
        publicKey: key.export({ type: 'spki', format: 'der' }),
      })),
      refreshHint: BigInt(Math.max(0, bundle.refreshHint ?? 0)),
      sequenceNumber: bundle.sequence ?? 0n,
    };
  } catch (error) {
    throw new CliError(`${file}: ${messageOf(error)}`, { exitCode: ExitCode.usage });
  }
}

function section(bundle: Bundle, format: BundleFormat): string {
  const line = '*'.repeat(40);
  return `${line}\n* ${visible(bundle.trustDomain)}\n${line}\n${bundleText(bundle, format)}`;
}

function bundleText(bundle: Bundle, format: BundleFormat): string {
  if (format === 'pem')
    return pemOf(
      'CERTIFICATE',
      bundle.x509Authorities.map(({ asn1 }) => asn1),
    );
  const document = serializeSpiffeBundle({
    trustDomain: parseTrustDomain(bundle.trustDomain),
    x509Authorities: bundle.x509Authorities.map(({ asn1 }) => parseCertificate(asn1)),
    jwtAuthorities: keysOf(bundle.jwtAuthorities),
    witAuthorities: keysOf(bundle.witAuthorities),
    sequence: bundle.sequenceNumber,
    refreshHint: Number(bundle.refreshHint),
  });
  return `${JSON.stringify(JSON.parse(document), null, 4)}\n`;
}

function keysOf(keys: readonly Pick<JWTKey, 'keyId' | 'publicKey'>[]): ReadonlyMap<string, KeyObject> {
  return new Map(
    keys.map(({ keyId, publicKey }) => [
      keyId,
      createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
    ]),
  );
}
