// Opens the store on a database that a server of its own serves.
import { messageOf } from '../../../sdk/error.ts';
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import { placeOf, type DatabaseSettings } from '../settings.ts';
import type { Store } from '../store.ts';
import type { Engine } from './engine.ts';
import { prepareDatabase, storeOn } from './sql-store.ts';

/** Where the database is, and whose it must be. */
export type ServedDatabase = DatabaseSettings & { readonly trustDomain: TrustDomain };

/**
 * Connects, brings the schema up to date and checks that the database is of this trust domain.
 *
 * @throws Error that names the database and, by `adviceOf` (empty if it knows none), what to do. Nothing in it is overwritten
 * then.
 */
export async function openServedStore(
  engine: Engine,
  database: ServedDatabase,
  adviceOf: (error: unknown) => string,
): Promise<Store> {
  try {
    await prepareDatabase(engine, database);
  } catch (error) {
    await engine.close();
    const advice = adviceOf(error);
    throw new Error(
      `the database ${placeOf(database)} cannot be used: ${messageOf(error)}${advice === '' ? '' : `; ${advice}`}`,
      { cause: error },
    );
  }
  return storeOn(engine);
}
