// MySQL and MariaDB as an engine. They announce nothing: other servers' commits are found by asking.
import { Kysely, MysqlDialect, sql } from 'kysely';
import { StoreUnavailableError } from '../errors.ts';
import type { DatabaseSettings } from '../settings.ts';
import type { Engine } from '../sql/engine.ts';
import type { Tables } from '../sql/tables.ts';
import { openPool } from './database.ts';
import { reasonOf } from './reason.ts';

/** The engine over a database; nothing is connected yet. */
export function mysqlEngine(settings: DatabaseSettings): Engine {
  const database = new Kysely<Tables>({ dialect: new MysqlDialect({ pool: () => openPool(settings) }) });
  return {
    database,
    types: {
      name: sql`varbinary(255)`,
      spiffeId: sql`varbinary(2048)`,
      text: sql`longtext character set utf8mb4 collate utf8mb4_bin`,
      integer: 'bigint',
      bytes: sql`longblob`,
    },
    // A reader sees one moment. A writer, which has waited for its turn, sees what the one before it did.
    isolation: { read: 'repeatable read', write: 'read committed' },
    rowsAtOnce: 100,
    lock: (transaction) => transaction.selectFrom('state').selectAll().forUpdate().executeTakeFirstOrThrow(),
    explain: (error) => {
      const reason = reasonOf(error);
      return reason === undefined ? error : new StoreUnavailableError(reason, { cause: error });
    },
    close: () => database.destroy(),
  };
}
