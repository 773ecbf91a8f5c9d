// Entries within a scope. What lies outside of it does not exist for the caller; what would lead out of it is refused.
// Entries are judged as this server knows them: should another administrator change one in the same moment, the outcome
// is as if one of the two had come first.
import { messageOf } from '../../sdk/error.ts';
import type {
  BatchCreateEntryRequest,
  BatchDeleteEntryRequest,
  BatchUpdateEntryRequest,
  GetEntryRequest,
  ListEntriesRequest,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { Entry as EntryMessage, EntryMask } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { failure, type Status } from '../api/convert.ts';
import { expectBatch } from '../api/entry-batch.ts';
import { entryChangesOf, entryInputOf } from '../api/entry-message.ts';
import { withKnownAgents } from '../api/join-token-id.ts';
import { expectFits } from '../api/paging.ts';
import type { Entry } from '../store/store.ts';
import { reachRefusalOf, refusalOf } from './judge-entry.ts';
import { itemwise, pagesOf, type Rule, type ScopedCall } from './scoped-call.ts';

interface Page {
  readonly entries: readonly { readonly id: string }[];
  readonly nextPageToken: string;
}
interface Result {
  readonly status: Status;
  readonly id?: string;
}

const NOT_FOUND = failure('NOT_FOUND', 'entry not found');

/** The entry, if it is there and in the scope. */
function visible({ options, scope }: ScopedCall, id: string): Entry | undefined {
  const entry = options.registry.entries.get(id);
  return entry !== undefined && scope.covers(entry) ? entry : undefined;
}

const within = (call: ScopedCall, page: unknown): Page['entries'] =>
  (page as Page).entries.filter(({ id }) => visible(call, id) !== undefined);

const listEntries: Rule = async (call) => {
  const request = call.request as ListEntriesRequest;
  if (request.pageSize !== 0) {
    const page = (await call.next(request)) as Page;
    return { ...page, entries: within(call, page) };
  }
  const entries: { readonly id: string }[] = [];
  for await (const page of pagesOf(call, 'listEntries', request)) entries.push(...within(call, page));
  return expectFits({ entries, nextPageToken: '' }, 'set page_size to receive it in pages');
};

const countEntries: Rule = async (call) => {
  const { filter } = call.request as ListEntriesRequest;
  let count = 0;
  for await (const page of pagesOf(call, 'listEntries', { filter, outputMask: {} })) {
    count += within(call, page).length;
  }
  return { count };
};

const getEntry: Rule = async (call) => {
  const { id } = call.request as GetEntryRequest;
  if (id !== '' && visible(call, id) === undefined) throw new RpcError('NOT_FOUND', 'entry not found');
  return call.next(call.request);
};

const batchCreateEntry: Rule = async (call) => {
  const request = call.request as BatchCreateEntryRequest;
  expectBatch(request.entries);
  const refuse = async (message: EntryMessage): Promise<Result | undefined> => {
    let input;
    try {
      input = entryInputOf(message, call.options.trustDomain);
    } catch {
      // The handler says what is wrong with it, and does not write it.
      return undefined;
    }
    return refused(refusalOf(await withKnownAgents(input, call.options), call.scope, call.reach));
  };
  const results = await itemwise(request.entries, refuse, async (entries) =>
    resultsOf(await call.next({ ...request, entries })),
  );
  return { results };
};

const batchUpdateEntry: Rule = async (call) => {
  const request = call.request as BatchUpdateEntryRequest;
  expectBatch(request.entries);
  const results = await itemwise(
    request.entries,
    (message) => updateRefusal(message, request.inputMask, call),
    async (entries) => resultsOf(await call.next({ ...request, entries })),
  );
  return { results };
};

async function updateRefusal(
  message: EntryMessage,
  mask: EntryMask | undefined,
  call: ScopedCall,
): Promise<Result | undefined> {
  if (message.id === '') return undefined;
  const { options, scope, reach } = call;
  const before = visible(call, message.id);
  if (before === undefined) return { status: NOT_FOUND };
  const standing = standingRefusal(before, call);
  if (standing !== undefined) return refused(standing);
  let changes: Partial<Entry>;
  try {
    changes = entryChangesOf(message, mask, options.trustDomain);
  } catch (error) {
    return { status: failure('INVALID_ARGUMENT', `failed to convert entry: ${messageOf(error)}`) };
  }
  const after = { ...before, ...(await withKnownAgents(changes, options)) };
  return refused(refusalOf(after, scope, reach));
}

// An entry with a role, or on which others hang that are not in the scope, is in other hands.
function standingRefusal(entry: Entry, { scope, reach }: ScopedCall): string | undefined {
  if (entry.admin || entry.downstream || reach.isPrivileged(entry.spiffeId)) {
    return 'the entry grants a role: only administrators without limits change it';
  }
  return reachRefusalOf(entry.spiffeId, scope, reach);
}

const batchDeleteEntry: Rule = async (call) => {
  const request = call.request as BatchDeleteEntryRequest;
  expectBatch(request.ids);
  const refuse = (id: string): Result | undefined => {
    if (id === '') return undefined;
    const entry = visible(call, id);
    if (entry === undefined) return { id, status: NOT_FOUND };
    const why = standingRefusal(entry, call);
    return why === undefined ? undefined : { id, status: failure('PERMISSION_DENIED', why) };
  };
  const results = await itemwise(request.ids, refuse, async (ids) =>
    resultsOf(await call.next({ ...request, ids })),
  );
  return { results };
};

function refused(why: string | undefined): Result | undefined {
  return why === undefined ? undefined : { status: failure('PERMISSION_DENIED', why) };
}

function resultsOf(answer: unknown): readonly Result[] {
  return (answer as { results: readonly Result[] }).results;
}

/** The rules of the Entry service. */
export const ENTRY_RULES: Readonly<Record<string, Rule>> = {
  listEntries,
  countEntries,
  getEntry,
  batchCreateEntry,
  batchUpdateEntry,
  batchDeleteEntry,
};
