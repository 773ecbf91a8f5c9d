// The TrustDomain service: relationships with foreign trust domains.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import { messageOf } from '../../sdk/error.ts';
import type { TrustDomain as TrustDomainService } from '../../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import type {
  FederationRelationship as RelationshipMessage,
  FederationRelationshipMask,
  FederationRelationshipSchema,
} from '../../sdk/api/gen/spire/api/types/federationrelationship_pb.ts';
import { parseTrustDomain, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { refreshBundle } from '../federation/refresh.ts';
import type { Relationship } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { failure, OK, reading, type Status } from './convert.ts';
import { expectBatch } from './entry-batch.ts';
import { expectFits, pageOf } from './paging.ts';
import { relationshipMessage, relationshipOf, relationshipTrustDomain } from './relationship-message.ts';
import type { ServiceOptions } from './services.ts';

interface Result {
  readonly status: Status;
  readonly federationRelationship?: MessageInitShape<typeof FederationRelationshipSchema>;
}
interface Masks {
  readonly inputMask?: FederationRelationshipMask;
  readonly outputMask: FederationRelationshipMask | undefined;
}

export function trustDomainService(options: ServiceOptions): Handlers<typeof TrustDomainService, Caller> {
  const { registry, store, trustDomain: own } = options;
  const { bundles } = registry;
  const messageFor = (relationship: Relationship, mask: FederationRelationshipMask | undefined) =>
    relationshipMessage(relationship, bundles.bundle(relationship.trustDomain), mask);
  const named = (name: string): TrustDomain =>
    reading('trust domain is not valid', () => parseTrustDomain(name));

  const write = async (
    messages: readonly RelationshipMessage[],
    kind: 'create' | 'update',
    { inputMask, outputMask }: Masks,
  ): Promise<{ results: Result[] }> => {
    expectBatch(messages);
    const written: (Relationship | Status)[] = [];
    for (const message of messages) written.push(await writeOne(message, kind, inputMask, options));
    await registry.catchUp();
    return {
      results: written.map((item) =>
        'trustDomain' in item
          ? { status: OK, federationRelationship: messageFor(item, outputMask) }
          : { status: item },
      ),
    };
  };

  return {
    async listFederationRelationships({ outputMask, pageSize, pageToken }) {
      const page = pageOf(
        bundles.relationships(),
        { pageSize, pageToken },
        {
          order: 'name',
          keyOf: ({ trustDomain }) => trustDomain,
          messageOf: (relationship) => messageFor(relationship, outputMask),
        },
      );
      return { federationRelationships: page.items, nextPageToken: page.nextPageToken };
    },
    async getFederationRelationship({ trustDomain, outputMask }) {
      const relationship = bundles.relationship(named(trustDomain));
      if (relationship === undefined)
        throw new RpcError('NOT_FOUND', 'federation relationship does not exist');
      return expectFits(messageFor(relationship, outputMask), 'use output_mask to ask for less');
    },
    batchCreateFederationRelationship: ({ federationRelationships, outputMask }) =>
      write(federationRelationships, 'create', { outputMask }),
    batchUpdateFederationRelationship: ({ federationRelationships, inputMask, outputMask }) =>
      write(federationRelationships, 'update', { inputMask, outputMask }),
    async batchDeleteFederationRelationship({ trustDomains }) {
      expectBatch(trustDomains);
      const results: { status: Status; trustDomain: string }[] = [];
      for (const name of trustDomains) {
        results.push({ trustDomain: name, status: await deleteOne(name, options) });
      }
      await registry.catchUp();
      return { results };
    },
    async refreshBundle({ trustDomain: name }, { signal }) {
      const trustDomain = named(name);
      const relationship = trustDomain === own ? undefined : bundles.relationship(trustDomain);
      if (relationship === undefined) {
        throw new RpcError('NOT_FOUND', `no relationship with trust domain ${JSON.stringify(trustDomain)}`);
      }
      try {
        await refreshBundle(relationship, { store, bundles, now: options.now, signal });
      } catch (error) {
        // Administrators alone get here; the cause is what they have to act on.
        throw new RpcError('INTERNAL', `failed to refresh bundle: ${messageOf(error)}`);
      }
      await registry.catchUp();
      return {};
    },
  };
}

async function writeOne(
  message: RelationshipMessage,
  kind: 'create' | 'update',
  mask: FederationRelationshipMask | undefined,
  { store, trustDomain: own }: ServiceOptions,
): Promise<Relationship | Status> {
  let trustDomain: TrustDomain;
  try {
    trustDomain = relationshipTrustDomain(message, own, kind);
  } catch (error) {
    return invalid(error);
  }
  let refused: Status | undefined;
  const relationship = await store.updateRelationship(trustDomain, (before) => {
    if (kind === 'create' && before !== undefined) {
      refused = failure('ALREADY_EXISTS', 'federation relationship already exists');
    } else if (kind === 'update' && before === undefined) {
      refused = failure('NOT_FOUND', 'federation relationship does not exist');
    } else {
      try {
        return relationshipOf(message, trustDomain, mask, before);
      } catch (error) {
        refused = invalid(error);
      }
    }
    return undefined;
  });
  return refused ?? relationship!;
}

function invalid(error: unknown): Status {
  return failure('INVALID_ARGUMENT', `failed to convert federation relationship: ${messageOf(error)}`);
}

async function deleteOne(name: string, { store }: ServiceOptions): Promise<Status> {
  let trustDomain: TrustDomain;
  try {
    trustDomain = parseTrustDomain(name);
  } catch (error) {
    return failure('INVALID_ARGUMENT', `trust domain is not valid: ${messageOf(error)}`);
  }
  if (await store.deleteRelationship(trustDomain)) return OK;
  return failure('NOT_FOUND', 'federation relationship does not exist');
}
