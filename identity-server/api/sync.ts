// SyncAuthorizedEntries, the conversation by which SPIRE's agents poll: few entries at once, many by revision first.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type {
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponseSchema,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { Entry } from '../store/store.ts';
import { entryMessage } from './entry-message.ts';
import { MAX_ANSWER_BYTES, sizeOf } from './message-size.ts';

/** Entries or revisions in one message; SPIRE's number. */
export const SYNC_PAGE_SIZE = 500;

type Response = MessageInitShape<typeof SyncAuthorizedEntriesResponseSchema>;

/** Answers one conversation over the entries that the agent had at its beginning. */
export async function* syncAuthorizedEntries(
  requests: AsyncIterable<SyncAuthorizedEntriesRequest>,
  entries: ReadonlyMap<string, Entry>,
): AsyncGenerator<Response, void, undefined> {
  let first: SyncAuthorizedEntriesRequest | undefined;
  for await (const request of requests) {
    if (first === undefined) {
      first = request;
      expectFirst(request);
      yield* overview([...entries.values()], request.outputMask);
    } else {
      if (request.outputMask !== undefined) {
        throw new RpcError('INVALID_ARGUMENT', 'the output mask can only be set on the initial request');
      }
      const { outputMask } = first;
      const wanted = new Set(request.ids)
        .values()
        .map((id) => entries.get(id))
        .filter((entry) => entry !== undefined)
        .map((entry) => entryMessage(entry, outputMask));
      yield* pages(wanted, (page, more) => ({ entries: page, more }));
    }
  }
}

function expectFirst(request: SyncAuthorizedEntriesRequest): void {
  if (request.outputMask !== undefined && !request.outputMask.revisionNumber) {
    throw new RpcError('INVALID_ARGUMENT', 'revision number cannot be masked');
  }
  if (request.ids.length > 0) {
    throw new RpcError('INVALID_ARGUMENT', 'specifying IDs on initial request is not supported');
  }
}

function* overview(
  entries: readonly Entry[],
  mask: SyncAuthorizedEntriesRequest['outputMask'],
): Generator<Response, void, undefined> {
  if (entries.length <= SYNC_PAGE_SIZE) {
    const messages = entries.map((entry) => entryMessage(entry, mask));
    if (sizeOf(messages) <= MAX_ANSWER_BYTES) {
      yield { entries: messages };
      return;
    }
    // Few, and large: the agent asks for them by ID, and they come in pages.
  }
  const revisions = entries.map(({ id, revisionNumber, createdAt }) => ({
    id,
    revisionNumber: BigInt(revisionNumber),
    createdAt: BigInt(createdAt),
  }));
  yield* pages(revisions, (entryRevisions, more) => ({ entryRevisions, more }));
}

// Pages of so many items, and of no more bytes than a plain client takes. There is always one, if only to say so.
function* pages<Item>(
  items: Iterable<Item>,
  respond: (page: Item[], more: boolean) => Response,
): Generator<Response, void, undefined> {
  let page: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (page.length === SYNC_PAGE_SIZE || (page.length > 0 && bytes + size > MAX_ANSWER_BYTES)) {
      yield respond(page, true);
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += size;
  }
  yield respond(page, false);
}
