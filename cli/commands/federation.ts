// svid federation create | update | show | list | delete | refresh
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  BatchCreateFederationRelationshipResponseSchema,
  BatchDeleteFederationRelationshipResponseSchema,
  BatchUpdateFederationRelationshipResponseSchema,
  ListFederationRelationshipsResponseSchema,
  TrustDomain,
} from '../../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import {
  FederationRelationshipSchema,
  type FederationRelationship,
} from '../../sdk/api/gen/spire/api/types/federationrelationship_pb.ts';
import { z } from 'zod';
import { parseConfig } from '../../daemon/config.ts';
import { CliError, ExitCode } from '../errors.ts';
import { fileName, readText } from '../files.ts';
import { fields, note, print, printJson } from '../output.ts';
import { allPages, expectAllWell, withServer, type ServerOptions } from '../server-call.ts';
import { jsonOf } from '../wire.ts';
import { readBundle, type BundleFormat } from './bundle.ts';

type RelationshipInit = MessageInitShape<typeof FederationRelationshipSchema>;

/** Options that describe a relationship. */
export interface RelationshipOptions {
  readonly url?: string;
  readonly profile?: 'https_web' | 'https_spiffe';
  readonly endpointSpiffeId?: string;
  readonly bundle?: string;
  readonly bundleFormat?: BundleFormat;
  readonly file?: string;
}

const relationshipSchema = z.strictObject({
  trust_domain: z.string(),
  url: z.string(),
  profile: z.enum(['https_web', 'https_spiffe']),
  endpoint_spiffe_id: z.string().optional(),
  bundle: z.string().optional(),
  bundle_format: z.enum(['pem', 'spiffe']).default('spiffe'),
});
const fileSchema = z.strictObject({ relationships: z.array(relationshipSchema) });

export async function create(
  name: string | undefined,
  options: ServerOptions & RelationshipOptions,
): Promise<void> {
  const federationRelationships = await relationshipsOf(name, options);
  const answer = await withServer(options, (client) =>
    client.unary(TrustDomain.method.batchCreateFederationRelationship, { federationRelationships }),
  );
  if (options.output === 'json') printJson(jsonOf(BatchCreateFederationRelationshipResponseSchema, answer));
  else printAll(answer.results.flatMap(({ federationRelationship }) => federationRelationship ?? []));
  expectAllWell(
    answer.results,
    (index) => federationRelationships[index]!.trustDomain!,
    'relationships failed',
  );
}

export async function update(
  name: string | undefined,
  options: ServerOptions & RelationshipOptions,
): Promise<void> {
  const federationRelationships = await relationshipsOf(name, options);
  const answer = await withServer(options, (client) =>
    client.unary(TrustDomain.method.batchUpdateFederationRelationship, { federationRelationships }),
  );
  if (options.output === 'json') printJson(jsonOf(BatchUpdateFederationRelationshipResponseSchema, answer));
  else printAll(answer.results.flatMap(({ federationRelationship }) => federationRelationship ?? []));
  expectAllWell(
    answer.results,
    (index) => federationRelationships[index]!.trustDomain!,
    'relationships failed',
  );
}

export async function show(trustDomain: string, options: ServerOptions): Promise<void> {
  const relationship = await withServer(
    options,
    (client) => client.unary(TrustDomain.method.getFederationRelationship, { trustDomain }),
    trustDomain,
  );
  if (options.output === 'json') printJson(jsonOf(FederationRelationshipSchema, relationship));
  else printAll([relationship]);
}

export async function list(options: ServerOptions): Promise<void> {
  const federationRelationships = await withServer(options, (client) =>
    allPages(
      (pageToken) =>
        client.unary(TrustDomain.method.listFederationRelationships, { pageSize: 100, pageToken }),
      (page) => page.federationRelationships,
    ),
  );
  if (options.output === 'json') {
    printJson(jsonOf(ListFederationRelationshipsResponseSchema, { federationRelationships }));
  } else if (federationRelationships.length === 0) note('there is no federation relationship');
  else printAll(federationRelationships);
}

export async function remove(trustDomain: string, options: ServerOptions): Promise<void> {
  const answer = await withServer(options, (client) =>
    client.unary(TrustDomain.method.batchDeleteFederationRelationship, { trustDomains: [trustDomain] }),
  );
  if (options.output === 'json') printJson(jsonOf(BatchDeleteFederationRelationshipResponseSchema, answer));
  expectAllWell(answer.results, () => trustDomain, 'relationships could not be deleted');
  note(`deleted the relationship with ${trustDomain}; its bundle stays until \`svid bundle delete\``);
}

export async function refresh(trustDomain: string, options: ServerOptions): Promise<void> {
  const work = (client: Parameters<Parameters<typeof withServer>[1]>[0]) =>
    client.unary(TrustDomain.method.refreshBundle, { trustDomain }, { timeout: 60_000 });
  await withServer(options, work, trustDomain);
  if (options.output === 'json') printJson({ refreshed: trustDomain });
  note(`refreshed the bundle of ${trustDomain}`);
}

async function relationshipsOf(
  name: string | undefined,
  options: RelationshipOptions,
): Promise<RelationshipInit[]> {
  const { file, url, profile } = options;
  if (file === undefined) {
    if (name === undefined || url === undefined || profile === undefined) {
      throw new CliError('name the trust domain, --url and --profile, or give --file', {
        exitCode: ExitCode.usage,
      });
    }
    const { endpointSpiffeId: endpoint_spiffe_id, bundle, bundleFormat: bundle_format = 'spiffe' } = options;
    return [
      await relationshipOf({ trust_domain: name, url, profile, endpoint_spiffe_id, bundle, bundle_format }),
    ];
  }
  if (name !== undefined || url !== undefined) {
    throw new CliError('--file excludes what describes a relationship', { exitCode: ExitCode.usage });
  }
  const { relationships } = parseConfig(fileSchema, await readText(file), fileName(file));
  return Promise.all(relationships.map(relationshipOf));
}

async function relationshipOf(input: z.infer<typeof relationshipSchema>): Promise<RelationshipInit> {
  const { trust_domain: trustDomain, url, profile, endpoint_spiffe_id: endpoint, bundle } = input;
  if ((profile === 'https_spiffe') !== (endpoint !== undefined)) {
    throw new CliError(
      `${trustDomain}: https_spiffe needs the endpoint's SPIFFE ID, and https_web has none`,
      {
        exitCode: ExitCode.usage,
      },
    );
  }
  return {
    trustDomain,
    bundleEndpointUrl: url,
    bundleEndpointProfile:
      endpoint === undefined
        ? { case: 'httpsWeb', value: {} }
        : { case: 'httpsSpiffe', value: { endpointSpiffeId: endpoint } },
    trustDomainBundle:
      bundle === undefined
        ? undefined
        : readBundle(trustDomain, await readText(bundle), input.bundle_format, fileName(bundle)),
  };
}

function printAll(relationships: readonly FederationRelationship[]): void {
  const texts = relationships.map(({ trustDomain, bundleEndpointUrl, bundleEndpointProfile: profile }) =>
    fields([
      ['Trust domain', trustDomain],
      ['Bundle endpoint URL', bundleEndpointUrl],
      ['Bundle endpoint profile', profile.case === 'httpsSpiffe' ? 'https_spiffe' : 'https_web'],
      ...(profile.case === 'httpsSpiffe'
        ? [['Endpoint SPIFFE ID', profile.value.endpointSpiffeId] as const]
        : []),
    ]),
  );
  if (texts.length > 0) print(texts.join('\n'));
}
