// SQLite as an engine: one connection, one transaction at a time, on this thread.
import { Kysely, SqliteDialect } from 'kysely';
import type { DatabaseSync } from 'node:sqlite';
import { StoreUnavailableError } from '../errors.ts';
import { stateOf } from '../sql/change-log.ts';
import type { Engine } from '../sql/engine.ts';
import type { Tables } from '../sql/tables.ts';
import { kyselyDatabase } from './database.ts';
import { reasonOf } from './reason.ts';

/** The engine over an open file. */
export function sqliteEngine(raw: DatabaseSync): Engine {
  const database = new Kysely<Tables>({ dialect: new SqliteDialect({ database: kyselyDatabase(raw) }) });
  return {
    database,
    types: { name: 'text', spiffeId: 'text', text: 'text', integer: 'integer', bytes: 'blob' },
    // Between some and the next, requests that only read are answered.
    rowsAtOnce: 32,
    holdsThread: true,
    // Nobody else has the file open, and kysely gives one transaction at a time the connection.
    lock: stateOf,
    explain: (error) => {
      const reason = reasonOf(error);
      return reason === undefined ? error : new StoreUnavailableError(reason, { cause: error });
    },
    async close() {
      await database.destroy();
      if (raw.isOpen) raw.close();
    },
  };
}
