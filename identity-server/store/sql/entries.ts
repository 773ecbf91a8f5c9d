// Writing entries. That two similar entries never stand side by side is kept here, in the transaction of the write.
import type { Transaction } from 'kysely';
import { similarityKey } from '../../entry/similarity.ts';
import type { Entry, NewEntry, WriteEntryOutcome } from '../store.ts';
import { entryOfRow, rowOfEntry, type Tables } from './tables.ts';
import type { Write } from './transaction.ts';

export async function createEntries(
  write: Write,
  entries: readonly NewEntry[],
): Promise<WriteEntryOutcome[]> {
  const outcomes: WriteEntryOutcome[] = [];
  for (const piece of write.pieces(entries)) outcomes.push(...(await createPiece(write, piece)));
  return outcomes;
}

async function createPiece(write: Write, entries: readonly NewEntry[]): Promise<WriteEntryOutcome[]> {
  const { transaction } = write;
  const keys = entries.map(similarityKey);
  const [similar, taken] = await found(
    transaction,
    keys,
    entries.map(({ id }) => id),
  );
  const rows: Tables['entries'][] = [];
  const outcomes = entries.map((entry, index): WriteEntryOutcome => {
    const key = keys[index]!;
    const other = similar.get(key);
    if (other !== undefined) return { kind: 'similar', entry: other };
    if (taken.has(entry.id)) return { kind: 'id-taken' };
    const placed: Entry = { ...entry, revisionNumber: 0, sequence: write.record('entry', entry.id) };
    rows.push(rowOfEntry(placed, key));
    similar.set(key, placed);
    taken.add(entry.id);
    return { kind: 'written', entry: placed };
  });
  if (rows.length > 0) await transaction.insertInto('entries').values(rows).execute();
  return outcomes;
}

// Entries that stand in the way: by what they say, and by their ID.
async function found(
  transaction: Transaction<Tables>,
  keys: readonly string[],
  ids: readonly string[],
): Promise<[similar: Map<string, Entry>, taken: Set<string>]> {
  const similar = await transaction
    .selectFrom('entries')
    .selectAll()
    .where('similarity', 'in', keys)
    .execute();
  const taken = await transaction.selectFrom('entries').select('id').where('id', 'in', ids).execute();
  return [
    new Map(similar.map((row) => [row.similarity, entryOfRow(row)])),
    new Set(taken.map(({ id }) => id)),
  ];
}

export async function updateEntries(
  write: Write,
  updates: readonly { readonly id: string; readonly change: (entry: Entry) => Entry }[],
): Promise<WriteEntryOutcome[]> {
  const outcomes: WriteEntryOutcome[] = [];
  for (const piece of write.pieces(updates)) {
    for (const { id, change } of piece) outcomes.push(await updateEntry(write, id, change));
  }
  return outcomes;
}

async function updateEntry(
  write: Write,
  id: string,
  change: (entry: Entry) => Entry,
): Promise<WriteEntryOutcome> {
  const { transaction } = write;
  const row = await transaction.selectFrom('entries').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) return { kind: 'missing' };
  const before = entryOfRow(row);
  const { sequence, createdAt, revisionNumber } = before;
  const after: Entry = { ...change(before), id, sequence, createdAt, revisionNumber: revisionNumber + 1 };
  const key = similarityKey(after);
  if (key !== row.similarity) {
    const other = await transaction
      .selectFrom('entries')
      .selectAll()
      .where('similarity', '=', key)
      .executeTakeFirst();
    if (other !== undefined) return { kind: 'similar', entry: entryOfRow(other) };
  }
  write.record('entry', id);
  await transaction.updateTable('entries').set(rowOfEntry(after, key)).where('id', '=', id).execute();
  return { kind: 'written', entry: after };
}

export async function deleteEntries(write: Write, ids: readonly string[]): Promise<boolean[]> {
  const { transaction } = write;
  const outcomes: boolean[] = [];
  for (const piece of write.pieces(ids)) {
    const rows = await transaction.selectFrom('entries').select('id').where('id', 'in', piece).execute();
    const there = new Set(rows.map(({ id }) => id));
    if (there.size > 0) {
      await transaction
        .deleteFrom('entries')
        .where('id', 'in', [...there])
        .execute();
    }
    // An ID that is named twice is there once.
    for (const id of piece) {
      const deleted = there.delete(id);
      if (deleted) write.record('entry', id);
      outcomes.push(deleted);
    }
  }
  return outcomes;
}
