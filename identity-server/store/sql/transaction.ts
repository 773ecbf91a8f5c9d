// Transactions as the store needs them. A write takes the counter row first, so that all writes of all servers follow
// one another: what it reads stands until it commits, and commit order is revision order.
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Change } from '../store.ts';
import type { Engine } from './engine.ts';
import type { Tables } from './tables.ts';

/** A write that has begun. */
export interface Write {
  readonly transaction: Transaction<Tables>;
  /** The row of counters as it was when the write began. */
  readonly state: Tables['state'];
  /** Takes the next revision for a change. */
  record(kind: Change['kind'], subject: string): number;
  /** The items in pieces of what one statement takes. */
  pieces<T>(items: readonly T[]): Iterable<readonly T[]>;
}

/** Runs `body` in one transaction and logs what it recorded. Tells whether there was anything. */
export async function write<T>(
  engine: Engine,
  body: (write: Write) => Promise<T>,
): Promise<{ readonly result: T; readonly changed: boolean }> {
  return begin(engine, 'write').execute(async (transaction) => {
    const state = await engine.lock(transaction);
    const epoch = randomBytes(12).toString('base64url');
    const changes: Tables['changes'][] = [];
    const pieces = <Item>(items: readonly Item[]) => inPieces(engine, items);
    const result = await body({
      transaction,
      state,
      record(kind, subject) {
        const revision = state.revision + changes.length + 1;
        changes.push({ revision, kind, subject, epoch });
        return revision;
      },
      pieces,
    });
    if (changes.length === 0) return { result, changed: false };
    for (const rows of pieces(changes)) await transaction.insertInto('changes').values(rows).execute();
    await transaction
      .updateTable('state')
      .set({ revision: changes.at(-1)!.revision, epoch })
      .execute();
    await engine.announce?.(transaction);
    return { result, changed: true };
  });
}

/** Runs `body` over one moment of the database. */
export function read<T>(engine: Engine, body: (transaction: Transaction<Tables>) => Promise<T>): Promise<T> {
  return begin(engine, 'read').execute(body);
}

function begin({ database, isolation }: Engine, kind: 'read' | 'write') {
  const transaction = database.transaction();
  return isolation === undefined ? transaction : transaction.setIsolationLevel(isolation[kind]);
}

function* inPieces<T>(engine: Engine, items: readonly T[]): Generator<readonly T[], void, void> {
  for (let at = 0; at < items.length; at += engine.rowsAtOnce) {
    yield items.slice(at, at + engine.rowsAtOnce);
  }
}
