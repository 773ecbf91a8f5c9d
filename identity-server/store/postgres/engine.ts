// PostgreSQL as an engine: writes of all servers follow one another by the lock on one row.
import { randomUUID } from 'node:crypto';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { StoreUnavailableError } from '../errors.ts';
import type { DatabaseSettings } from '../settings.ts';
import type { Engine } from '../sql/engine.ts';
import type { Tables } from '../sql/tables.ts';
import { openPool } from './database.ts';
import { CHANNEL, listenForChanges } from './listen.ts';
import { reasonOf } from './reason.ts';

/** The engine over a database; nothing is connected yet. */
export function postgresEngine(settings: DatabaseSettings): Engine {
  const database = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: openPool(settings) }) });
  const listening: AsyncDisposable[] = [];
  // By which a server knows its own announcements.
  const self = randomUUID();
  return {
    database,
    types: { name: 'text', spiffeId: 'text', text: 'text', integer: 'bigint', bytes: 'bytea' },
    // A reader sees one moment. A writer, which has waited for its turn, sees what the one before it did.
    isolation: { read: 'repeatable read', write: 'read committed' },
    rowsAtOnce: 100,
    lock: (transaction) => transaction.selectFrom('state').selectAll().forUpdate().executeTakeFirstOrThrow(),
    // Delivered when the transaction commits, and not at all if it does not.
    async announce(transaction) {
      await sql`SELECT pg_notify(${CHANNEL}, ${self})`.execute(transaction);
    },
    listen: (wake) => void listening.push(listenForChanges(settings, { self, wake })),
    explain: (error) => {
      const reason = reasonOf(error);
      return reason === undefined ? error : new StoreUnavailableError(reason, { cause: error });
    },
    async close() {
      await Promise.all(listening.map((one) => one[Symbol.asyncDispose]()));
      await database.destroy();
    },
  };
}
