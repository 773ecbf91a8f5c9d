// Opens the store on PostgreSQL, for one server or several.
import { openServedStore, type ServedDatabase } from '../sql/open-served.ts';
import type { Store } from '../store.ts';
import { postgresEngine } from './engine.ts';
import { adviceOf } from './reason.ts';

/**
 * Opens it.
 *
 * @throws Error as `openServedStore` does.
 */
export async function openPostgresStore(database: ServedDatabase): Promise<Store> {
  return openServedStore(postgresEngine(database), database, adviceOf);
}
