// Opens the store on MySQL or MariaDB, for one server or several.
import { openServedStore, type ServedDatabase } from '../sql/open-served.ts';
import type { Store } from '../store.ts';
import { mysqlEngine } from './engine.ts';
import { adviceOf } from './reason.ts';

/**
 * Opens it.
 *
 * @throws Error as `openServedStore` does.
 */
export async function openMysqlStore(database: ServedDatabase): Promise<Store> {
  return openServedStore(mysqlEngine(database), database, adviceOf);
}
