// SyncAuthorizedEntries, the conversation by which SPIRE's agents poll: few entries at once, many by revision first.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type {
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponseSchema,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { Entry } from '../store/store.ts';
import { entryMessage } from './entry-message.ts';

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
      const wanted = [...new Set(request.ids)].flatMap((id) => entries.get(id) ?? []);
      yield* pages(wanted, (page, more) => ({
        entries: page.map((entry) => entryMessage(entry, first!.outputMask)),
        more,
      }));
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
    yield { entries: entries.map((entry) => entryMessage(entry, mask)) };
    return;
  }
  yield* pages(entries, (page, more) => ({
    entryRevisions: page.map(({ id, revisionNumber, createdAt }) => ({
      id,
      revisionNumber: BigInt(revisionNumber),
      createdAt: BigInt(createdAt),
    })),
    more,
  }));
}

function* pages(
  entries: readonly Entry[],
  respond: (page: readonly Entry[], more: boolean) => Response,
): Generator<Response, void, undefined> {
  let at = 0;
  do {
    const page = entries.slice(at, at + SYNC_PAGE_SIZE);
    at += SYNC_PAGE_SIZE;
    yield respond(page, at < entries.length);
  } while (at < entries.length);
}
