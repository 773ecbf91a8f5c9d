// SQLite as an engine: one connection on a thread of its own, one transaction at a time.
import { Kysely } from 'kysely';
import { StoreUnavailableError } from '../errors.ts';
import { stateOf } from '../sql/change-log.ts';
import type { Engine } from '../sql/engine.ts';
import type { Tables } from '../sql/tables.ts';
import { sqliteDialect } from './dialect.ts';
import { reasonOf } from './reason.ts';
import type { DatabaseThread } from './thread.ts';

/** The engine over an open file. */
export function sqliteEngine(thread: DatabaseThread): Engine {
  const database = new Kysely<Tables>({ dialect: sqliteDialect(thread) });
  return {
    database,
    types: { name: 'text', spiffeId: 'text', text: 'text', integer: 'integer', bytes: 'blob' },
    rowsAtOnce: 50,
    // Nobody else has the file open, and kysely gives one transaction at a time the connection.
    lock: stateOf,
    explain: (error) => {
      const reason = reasonOf(error);
      return reason === undefined ? error : new StoreUnavailableError(reason, { cause: error });
    },
    async close() {
      await database.destroy();
      // Kysely destroys only what it used.
      await thread.close();
    },
  };
}
