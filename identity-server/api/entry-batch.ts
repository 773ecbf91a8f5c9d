// Writing entries in batches: each item is judged on its own, all that are good are written in one transaction.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { messageOf } from '../../sdk/error.ts';
import type { BatchUpdateEntryRequest } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type {
  Entry as EntryMessage,
  EntryMask,
  EntrySchema,
} from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { InvalidEntryError, validateEntry } from '../entry/validate.ts';
import type { Entry, NewEntry, WriteEntryOutcome } from '../store/store.ts';
import { failure, OK, secondsOf, type Status } from './convert.ts';
import { entryChangesOf, entryInputOf, entryMessage, type EntryInput } from './entry-message.ts';
import { withKnownAgents } from './join-token-id.ts';
import { MAX_ANSWER_BYTES, sizeOf } from './message-size.ts';
import { tooLarge } from './paging.ts';
import type { ServiceOptions } from './services.ts';

interface Result {
  readonly status: Status;
  readonly entry?: MessageInitShape<typeof EntrySchema>;
}
/** An item that can be written, or the answer to one that cannot. */
type Judged<T> = { readonly write: T } | { readonly refused: Result };

/** The most items of one batch: a batch is one transaction, and others wait for it. */
export const MAX_ENTRIES = 5_000;

/** Refuses a batch that is too large. */
export function expectBatch(items: readonly unknown[]): void {
  if (items.length > MAX_ENTRIES) {
    throw new RpcError(
      'RESOURCE_EXHAUSTED',
      `the batch has ${items.length} items; at most ${MAX_ENTRIES} are accepted`,
    );
  }
}

// The status of each item, and what the server adds to an entry.
const ANSWER_OVERHEAD = 160;

// Judged before anything is written: an answer that cannot be received would leave the caller in the dark.
function expectAnswerFits(messages: readonly EntryMessage[]): void {
  if (sizeOf(messages) + messages.length * ANSWER_OVERHEAD <= MAX_ANSWER_BYTES) return;
  throw tooLarge('write the entries in several batches');
}

export async function createEntries(
  messages: readonly EntryMessage[],
  mask: EntryMask | undefined,
  options: ServiceOptions,
): Promise<{ results: Result[] }> {
  expectBatch(messages);
  expectAnswerFits(messages);
  const judged: Judged<NewEntry>[] = [];
  for (const message of messages) judged.push(await judgeNew(message, options));
  return write(judged, (entries) => options.store.createEntries(entries), mask, options);
}

async function judgeNew(message: EntryMessage, options: ServiceOptions): Promise<Judged<NewEntry>> {
  let input: EntryInput;
  try {
    input = entryInputOf(message, options.trustDomain);
    validateEntry(input, options.trustDomain);
  } catch (error) {
    return refused(error);
  }
  const known = await withKnownAgents(input, options);
  const createdAt = secondsOf(options.now());
  return { write: { ...known, id: input.id === '' ? randomUUID() : input.id, createdAt } };
}

interface Update {
  readonly id: string;
  readonly change: (entry: Entry) => Entry;
}

export async function updateEntries(
  { entries: messages, inputMask, outputMask }: BatchUpdateEntryRequest,
  options: ServiceOptions,
): Promise<{ results: Result[] }> {
  expectBatch(messages);
  expectAnswerFits(messages);
  const judged: Judged<Update>[] = [];
  for (const message of messages) judged.push(await judgeUpdate(message, inputMask, options));
  return write(judged, (updates) => options.store.updateEntries(updates), outputMask, options);
}

async function judgeUpdate(
  message: EntryMessage,
  mask: EntryMask | undefined,
  options: ServiceOptions,
): Promise<Judged<Update>> {
  if (message.id === '') return refused(new InvalidEntryError('missing entry ID'));
  const before = options.registry.entries.get(message.id);
  if (before === undefined) return { refused: { status: failure('NOT_FOUND', 'entry not found') } };
  let changes: Partial<EntryInput>;
  try {
    changes = entryChangesOf(message, mask, options.trustDomain);
    // Judged against what is known now; should the entry change meanwhile, only the fields of the mask are written.
    validateEntry({ ...before, ...changes }, options.trustDomain);
  } catch (error) {
    return refused(error);
  }
  const known = await withKnownAgents(changes, options);
  return { write: { id: message.id, change: (entry) => ({ ...entry, ...known }) } };
}

// Everything that the readers and rules throw is about the caller's input.
function refused(error: unknown): { refused: Result } {
  return { refused: { status: failure('INVALID_ARGUMENT', `failed to convert entry: ${messageOf(error)}`) } };
}

async function write<T>(
  judged: readonly Judged<T>[],
  commit: (items: T[]) => Promise<readonly WriteEntryOutcome[]>,
  mask: EntryMask | undefined,
  options: ServiceOptions,
): Promise<{ results: Result[] }> {
  const items = judged.flatMap((item) => ('write' in item ? [item.write] : []));
  const outcomes = items.length === 0 ? [] : await commit(items);
  await options.registry.catchUp();
  const inOrder = outcomes.values();
  return {
    results: judged.map((item) => ('refused' in item ? item.refused : resultOf(inOrder.next().value!, mask))),
  };
}

function resultOf(outcome: WriteEntryOutcome, mask: EntryMask | undefined): Result {
  switch (outcome.kind) {
    case 'written':
      return { status: OK, entry: entryMessage(outcome.entry, mask) };
    case 'similar':
      return {
        status: failure('ALREADY_EXISTS', 'similar entry already exists'),
        entry: entryMessage(outcome.entry, mask),
      };
    case 'id-taken':
      return { status: failure('ALREADY_EXISTS', 'an entry with this ID already exists') };
    case 'missing':
      return { status: failure('NOT_FOUND', 'entry not found') };
  }
}
