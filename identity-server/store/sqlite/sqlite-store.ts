// Opens the store on SQLite: one file in the data folder, for one server.
import { join } from 'node:path';
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import { prepareDatabase, storeOn } from '../sql/sql-store.ts';
import type { Store } from '../store.ts';
import { databaseError } from './database.ts';
import { sqliteEngine } from './engine.ts';
import { DatabaseThread } from './thread.ts';

/** The name of the database file in the data folder. */
export const DATABASE_FILE = 'identity-server.db';

/** Options of {@link openSqliteStore}. */
export interface SqliteStoreOptions {
  /** Folder, which must exist. */
  readonly folder: string;
  readonly trustDomain: TrustDomain;
}

/**
 * Opens the database, brings its schema up to date and checks that it is of this trust domain.
 *
 * @throws Error that names the file and what to do. Nothing in the file is overwritten then.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const file = join(options.folder, DATABASE_FILE);
  const engine = sqliteEngine(await DatabaseThread.open(file));
  try {
    await prepareDatabase(engine, options);
  } catch (error) {
    await engine.close();
    throw databaseError(file, error);
  }
  return storeOn(engine);
}
