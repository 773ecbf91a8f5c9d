// Opens the store that the configuration names.
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { DatabaseConfig } from './database-config.ts';
import { openMysqlStore } from './mysql/mysql-store.ts';
import { openPostgresStore } from './postgres/postgres-store.ts';
import { readSettings } from './settings.ts';
import { openSqliteStore } from './sqlite/sqlite-store.ts';
import type { Store } from './store.ts';

/** What {@link openStore} needs. */
export interface OpenStoreOptions {
  readonly database: DatabaseConfig;
  /** The data folder, which must exist. */
  readonly folder: string;
  readonly trustDomain: TrustDomain;
}

/**
 * Opens the store.
 *
 * @throws Error that names the database, or a file of the configuration, and what to do.
 */
export async function openStore({ database, folder, trustDomain }: OpenStoreOptions): Promise<Store> {
  const { type } = database;
  switch (type) {
    case 'sqlite':
      return openSqliteStore({ folder, trustDomain });
    case 'postgres':
      return openPostgresStore({ ...(await readSettings({ ...database, type })), trustDomain });
    case 'mysql':
      return openMysqlStore({ ...(await readSettings({ ...database, type })), trustDomain });
  }
}
