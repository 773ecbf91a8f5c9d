// Reading the ordered change log. Each row carries the epoch of its transaction, a random name that no other
// transaction has: a position is good exactly when the log still holds its row (decision 005).
import type { Transaction } from 'kysely';
import type { SpiffeId, TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { Change, Position, Snapshot } from '../store.ts';
import { bundleOfRow, entryOfRow, nodeOfRow, relationshipOfRow, type Tables } from './tables.ts';

// The most values in one list: every database takes so many.
const LISTED_AT_ONCE = 500;
const READ_AT_ONCE = 2_000;

export async function snapshot(transaction: Transaction<Tables>): Promise<Snapshot> {
  const { epoch, revision } = await stateOf(transaction);
  const entries = await inPages((after) =>
    transaction
      .selectFrom('entries')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(READ_AT_ONCE)
      .execute(),
  );
  const nodes = await inPages((after) =>
    transaction
      .selectFrom('nodes')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(READ_AT_ONCE)
      .execute(),
  );
  const bundles = await transaction.selectFrom('bundles').selectAll().execute();
  const relationships = await transaction.selectFrom('relationships').selectAll().execute();
  return {
    position: { epoch, revision },
    entries: entries.map(entryOfRow).sort(bySequence),
    nodes: nodes.map(nodeOfRow).sort(bySequence),
    bundles: bundles.map(bundleOfRow),
    relationships: relationships.map(relationshipOfRow),
  };
}

// All rows, page by page, so that no statement takes long.
async function inPages<Row extends { readonly id: string }>(
  read: (after: string) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const page = await read(rows.at(-1)?.id ?? '');
    rows.push(...page);
    if (page.length < READ_AT_ONCE) return rows;
  }
}

function bySequence(left: { readonly sequence: number }, right: { readonly sequence: number }): number {
  return left.sequence - right.sequence;
}

export async function changesAfter(
  transaction: Transaction<Tables>,
  position: Position,
  limit: number,
): Promise<{ position: Position; changes: Change[] } | undefined> {
  const state = await stateOf(transaction);
  if (position.revision === state.revision) {
    return position.epoch === state.epoch ? { position, changes: [] } : undefined;
  }
  if (position.revision > state.revision || position.revision < state.compacted) return undefined;
  // The row of the position itself comes along: it tells whether the position is of this history.
  const [own, ...rows] = await transaction
    .selectFrom('changes')
    .selectAll()
    .where('revision', '>=', position.revision)
    .orderBy('revision')
    .limit(limit + 1)
    .execute();
  if (own === undefined || own.revision !== position.revision || own.epoch !== position.epoch) {
    return undefined;
  }
  const { revision, epoch } = rows.at(-1) ?? own;
  return { position: { epoch, revision }, changes: await valuesOf(transaction, rows) };
}

// What stands now under the names that the rows have.
async function valuesOf(
  transaction: Transaction<Tables>,
  rows: readonly Tables['changes'][],
): Promise<Change[]> {
  const named = async <Row, Value>(
    kind: Change['kind'],
    find: (names: readonly string[]) => Promise<Row[]>,
    nameOf: (row: Row) => string,
    valueOf: (row: Row) => Value,
  ): Promise<Map<string, Value>> => {
    const names = new Set(rows.filter((row) => row.kind === kind).map(({ subject }) => subject));
    const found = new Map<string, Value>();
    for (const list of lists([...names])) {
      for (const row of await find(list)) found.set(nameOf(row), valueOf(row));
    }
    return found;
  };
  const entries = await named(
    'entry',
    (ids) => transaction.selectFrom('entries').selectAll().where('id', 'in', ids).execute(),
    ({ id }) => id,
    entryOfRow,
  );
  const nodes = await named(
    'node',
    (ids) => transaction.selectFrom('nodes').selectAll().where('id', 'in', ids).execute(),
    ({ id }) => id,
    nodeOfRow,
  );
  const bundles = await named(
    'bundle',
    (names) => transaction.selectFrom('bundles').selectAll().where('trust_domain', 'in', names).execute(),
    (row) => row.trust_domain,
    bundleOfRow,
  );
  const relationships = await named(
    'relationship',
    (names) =>
      transaction.selectFrom('relationships').selectAll().where('trust_domain', 'in', names).execute(),
    (row) => row.trust_domain,
    relationshipOfRow,
  );
  return rows.map(({ revision, kind, subject }): Change => {
    switch (kind) {
      case 'entry':
        return { revision, kind, id: subject, value: entries.get(subject) };
      case 'node':
        return { revision, kind, id: subject as SpiffeId, value: nodes.get(subject) };
      case 'bundle':
        return { revision, kind, id: subject as TrustDomain, value: bundles.get(subject) };
      case 'relationship':
        return { revision, kind, id: subject as TrustDomain, value: relationships.get(subject) };
      case 'authority':
        return { revision, kind, id: subject, value: undefined };
    }
  });
}

/** Drops the log before a revision, which stays: a reader that stands there has missed nothing. */
export async function compact(transaction: Transaction<Tables>, revision: number): Promise<void> {
  const state = await stateOf(transaction);
  const upTo = Math.min(revision, state.revision);
  if (upTo <= state.compacted) return;
  await transaction.deleteFrom('changes').where('revision', '<', upTo).execute();
  await transaction.updateTable('state').set({ compacted: upTo }).execute();
}

export async function stateOf(transaction: Transaction<Tables>): Promise<Tables['state']> {
  return transaction.selectFrom('state').selectAll().executeTakeFirstOrThrow();
}

/** A list in pieces that can stand in one statement. */
export function* lists<T>(items: readonly T[]): Generator<readonly T[], void, undefined> {
  for (let at = 0; at < items.length; at += LISTED_AT_ONCE) yield items.slice(at, at + LISTED_AT_ONCE);
}
