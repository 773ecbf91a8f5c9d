// The ordered change log: one counter row, one row a change, both in the transaction of the write itself.
import type { Transaction } from 'kysely';
import type { SpiffeId } from '../../../sdk/spiffe-id.ts';
import type { Change, Position, Snapshot } from '../store.ts';
import { entryOfRow, nodeOfRow, type Tables } from './tables.ts';

/** Takes the next revision and logs a change under it. */
export async function record(
  transaction: Transaction<Tables>,
  kind: Change['kind'],
  subject: string,
): Promise<number> {
  const { revision } = await transaction
    .updateTable('state')
    .set((expression) => ({ revision: expression('revision', '+', 1) }))
    .returning('revision')
    .executeTakeFirstOrThrow();
  await transaction.insertInto('changes').values({ revision, kind, subject }).execute();
  return revision;
}

export async function snapshot(transaction: Transaction<Tables>): Promise<Snapshot> {
  const { epoch, revision } = await transaction.selectFrom('state').selectAll().executeTakeFirstOrThrow();
  const entries = await transaction.selectFrom('entries').selectAll().orderBy('sequence').execute();
  const nodes = await transaction.selectFrom('nodes').selectAll().orderBy('sequence').execute();
  return {
    position: { epoch, revision },
    entries: entries.map(entryOfRow),
    nodes: nodes.map(nodeOfRow),
  };
}

export async function changesAfter(
  transaction: Transaction<Tables>,
  position: Position,
  limit: number,
): Promise<{ position: Position; changes: Change[] } | undefined> {
  const state = await transaction.selectFrom('state').selectAll().executeTakeFirstOrThrow();
  if (position.epoch !== state.epoch || position.revision > state.revision) return undefined;
  if (position.revision < state.compacted) return undefined;
  const rows = await transaction
    .selectFrom('changes')
    .selectAll()
    .where('revision', '>', position.revision)
    .orderBy('revision')
    .limit(limit)
    .execute();
  const subjects = (kind: Change['kind']) =>
    rows.filter((row) => row.kind === kind).map(({ subject }) => subject);
  const entryIds = subjects('entry');
  const nodeIds = subjects('node');
  const entries =
    entryIds.length === 0
      ? []
      : await transaction.selectFrom('entries').selectAll().where('id', 'in', entryIds).execute();
  const nodes =
    nodeIds.length === 0
      ? []
      : await transaction.selectFrom('nodes').selectAll().where('id', 'in', nodeIds).execute();
  const entryById = new Map(entries.map((row) => [row.id, entryOfRow(row)]));
  const nodeById = new Map(nodes.map((row) => [row.id, nodeOfRow(row)]));
  const changes = rows.map(({ revision, kind, subject }): Change => {
    switch (kind) {
      case 'entry':
        return { revision, kind, id: subject, value: entryById.get(subject) };
      case 'node':
        return { revision, kind, id: subject as SpiffeId, value: nodeById.get(subject) };
      case 'authority':
        return { revision, kind, id: subject, value: undefined };
    }
  });
  return { position: { epoch: state.epoch, revision: rows.at(-1)?.revision ?? position.revision }, changes };
}

export async function compact(transaction: Transaction<Tables>, revision: number): Promise<void> {
  const state = await transaction.selectFrom('state').selectAll().executeTakeFirstOrThrow();
  const upTo = Math.min(revision, state.revision);
  if (upTo <= state.compacted) return;
  await transaction.deleteFrom('changes').where('revision', '<=', upTo).execute();
  await transaction.updateTable('state').set({ compacted: upTo }).execute();
}
