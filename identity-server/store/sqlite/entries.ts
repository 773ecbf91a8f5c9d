// Writing entries. That two similar entries never stand side by side is kept here, in the transaction of the write.
import type { Transaction } from 'kysely';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { similarityKey } from '../../entry/similarity.ts';
import type { Entry, NewEntry, WriteEntryOutcome } from '../store.ts';
import { record } from './change-log.ts';
import { entryOfRow, rowOfEntry, type Tables } from './tables.ts';

// SQLite works on this thread: between some and the next, requests that only read are answered.
const WRITTEN_AT_ONCE = 32;

export async function createEntries(
  transaction: Transaction<Tables>,
  entries: readonly NewEntry[],
): Promise<WriteEntryOutcome[]> {
  const outcomes: WriteEntryOutcome[] = [];
  for (const [index, entry] of entries.entries()) {
    if (index > 0 && index % WRITTEN_AT_ONCE === 0) await yieldToOthers();
    outcomes.push(await createEntry(transaction, entry));
  }
  return outcomes;
}

async function createEntry(transaction: Transaction<Tables>, entry: NewEntry): Promise<WriteEntryOutcome> {
  const similarity = similarityKey(entry);
  const similar = await bySimilarity(transaction, similarity);
  if (similar !== undefined) return { kind: 'similar', entry: similar };
  if ((await byId(transaction, entry.id)) !== undefined) return { kind: 'id-taken' };
  const sequence = await record(transaction, 'entry', entry.id);
  const placed: Entry = { ...entry, revisionNumber: 0, sequence };
  await transaction.insertInto('entries').values(rowOfEntry(placed, similarity)).execute();
  return { kind: 'written', entry: placed };
}

export async function updateEntries(
  transaction: Transaction<Tables>,
  updates: readonly { readonly id: string; readonly change: (entry: Entry) => Entry }[],
): Promise<WriteEntryOutcome[]> {
  const outcomes: WriteEntryOutcome[] = [];
  for (const [index, { id, change }] of updates.entries()) {
    if (index > 0 && index % WRITTEN_AT_ONCE === 0) await yieldToOthers();
    outcomes.push(await updateEntry(transaction, id, change));
  }
  return outcomes;
}

async function updateEntry(
  transaction: Transaction<Tables>,
  id: string,
  change: (entry: Entry) => Entry,
): Promise<WriteEntryOutcome> {
  const before = await byId(transaction, id);
  if (before === undefined) return { kind: 'missing' };
  const { sequence, createdAt, revisionNumber } = before;
  const after: Entry = { ...change(before), id, sequence, createdAt, revisionNumber: revisionNumber + 1 };
  const similarity = similarityKey(after);
  const similar = await bySimilarity(transaction, similarity);
  if (similar !== undefined && similar.id !== id) return { kind: 'similar', entry: similar };
  await record(transaction, 'entry', id);
  await transaction.updateTable('entries').set(rowOfEntry(after, similarity)).where('id', '=', id).execute();
  return { kind: 'written', entry: after };
}

export async function deleteEntries(
  transaction: Transaction<Tables>,
  ids: readonly string[],
): Promise<boolean[]> {
  const deleted: boolean[] = [];
  for (const [index, id] of ids.entries()) {
    if (index > 0 && index % WRITTEN_AT_ONCE === 0) await yieldToOthers();
    const { numDeletedRows } = await transaction
      .deleteFrom('entries')
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    if (numDeletedRows > 0n) await record(transaction, 'entry', id);
    deleted.push(numDeletedRows > 0n);
  }
  return deleted;
}

async function byId(transaction: Transaction<Tables>, id: string): Promise<Entry | undefined> {
  const row = await transaction.selectFrom('entries').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : entryOfRow(row);
}

async function bySimilarity(transaction: Transaction<Tables>, key: string): Promise<Entry | undefined> {
  const row = await transaction
    .selectFrom('entries')
    .selectAll()
    .where('similarity', '=', key)
    .executeTakeFirst();
  return row === undefined ? undefined : entryOfRow(row);
}
