// The Entry service: registration for operators, authorised entries for agents.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type {
  Entry as EntryService,
  ListEntriesRequest_Filter,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { matchesEntry, type EntryFilter } from '../entry/filter.ts';
import type { Entry } from '../store/store.ts';
import { agentIdOf, type Caller } from './caller.ts';
import { failure, memberIdOf, matchOf, OK, reading, selectorFilterOf } from './convert.ts';
import { createEntries, expectBatch, updateEntries } from './entry-batch.ts';
import { entryMessage } from './entry-message.ts';
import { knownAgentId } from './join-token-id.ts';
import { expectFits, pageOf } from './paging.ts';
import type { ServiceOptions } from './services.ts';
import { syncAuthorizedEntries } from './sync.ts';

export function entryService(options: ServiceOptions): Handlers<typeof EntryService, Caller> {
  const { registry, store } = options;
  return {
    async countEntries({ filter }) {
      const wanted = await entryFilterOf(filter, options);
      let count = 0;
      for (const entry of candidates(options, wanted)) if (matchesEntry(entry, wanted)) count++;
      return { count };
    },
    async listEntries({ filter, outputMask, pageSize, pageToken }) {
      const wanted = await entryFilterOf(filter, options);
      const page = pageOf(
        candidates(options, wanted),
        { pageSize, pageToken },
        {
          order: 'number',
          keyOf: ({ sequence }) => sequence,
          wanted: (entry) => matchesEntry(entry, wanted),
          messageOf: (entry) => entryMessage(entry, outputMask),
        },
      );
      return { entries: page.items, nextPageToken: page.nextPageToken };
    },
    async getEntry({ id, outputMask }) {
      if (id === '') throw new RpcError('INVALID_ARGUMENT', 'missing ID');
      const entry = registry.entries.get(id);
      if (entry === undefined) throw new RpcError('NOT_FOUND', 'entry not found');
      return entryMessage(entry, outputMask);
    },
    batchCreateEntry: ({ entries, outputMask }) => createEntries(entries, outputMask, options),
    batchUpdateEntry: (request) => updateEntries(request, options),
    async batchDeleteEntry({ ids }) {
      expectBatch(ids);
      const deleted = await store.deleteEntries(ids);
      await registry.catchUp();
      const results = ids.map((id, index) => {
        if (id === '') return { id, status: failure('INVALID_ARGUMENT', 'missing entry ID') };
        return { id, status: deleted[index] === true ? OK : failure('NOT_FOUND', 'entry not found') };
      });
      return { results };
    },
    async getAuthorizedEntries({ outputMask }, context) {
      const entries = registry.authorizedEntries(agentIdOf(context));
      const messages = [...entries.values()].map((entry) => entryMessage(entry, outputMask));
      return expectFits(
        { entries: messages },
        'this call has no page_size; use SyncAuthorizedEntries, which answers in pages',
      );
    },
    syncAuthorizedEntries: (requests, context) =>
      syncAuthorizedEntries(requests, registry.authorizedEntries(agentIdOf(context))),
  };
}

// The fewest entries that can match, in the order of listings.
function candidates({ registry }: ServiceOptions, filter: EntryFilter): Iterable<Entry> {
  if (filter.spiffeId !== undefined) return inOrder(registry.entries.granting(filter.spiffeId));
  if (filter.parentId !== undefined) return inOrder(registry.entries.childrenOf(filter.parentId));
  return registry.entries.all();
}

function inOrder(entries: Iterable<Entry>): Entry[] {
  return [...entries].sort((left, right) => left.sequence - right.sequence);
}

async function entryFilterOf(
  filter: ListEntriesRequest_Filter | CountFilter | undefined,
  options: ServiceOptions,
): Promise<EntryFilter> {
  if (filter === undefined) return {};
  const { bySpiffeId, byParentId, bySelectors, byFederatesWith, byHint, byDownstream } = filter;
  const parentId =
    byParentId && reading('malformed parent ID filter', () => memberIdOf(byParentId, options.trustDomain));
  return {
    spiffeId:
      bySpiffeId && reading('malformed SPIFFE ID filter', () => memberIdOf(bySpiffeId, options.trustDomain)),
    parentId: parentId && (await knownAgentId(parentId, options)),
    selectors: reading('malformed selectors filter', () => selectorFilterOf(bySelectors)),
    federatesWith:
      byFederatesWith &&
      reading('malformed federates with filter', () => {
        if (byFederatesWith.trustDomains.length === 0) throw new Error('empty trust domain set');
        const values = new Set<string>(byFederatesWith.trustDomains.map(parseTrustDomain));
        return { values, match: matchOf(byFederatesWith.match) };
      }),
    hint: byHint,
    // SPIRE's command line always sends the field, and means nothing by false.
    downstream: byDownstream === true ? true : undefined,
  };
}

type CountFilter = Omit<ListEntriesRequest_Filter, '$typeName'>;
