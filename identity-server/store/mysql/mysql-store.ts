// Opens the store on MySQL or MariaDB, for one server or several.
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import { messageOf } from '../../../sdk/error.ts';
import { placeOf, type DatabaseSettings } from '../settings.ts';
import { prepareDatabase, storeOn } from '../sql/sql-store.ts';
import type { Store } from '../store.ts';
import { mysqlEngine } from './engine.ts';
import { adviceOf } from './reason.ts';

/**
 * Connects, brings the schema up to date and checks that the database is of this trust domain.
 *
 * @throws Error that names the database and what to do. Nothing in it is overwritten then.
 */
export async function openMysqlStore(
  options: DatabaseSettings & { readonly trustDomain: TrustDomain },
): Promise<Store> {
  const engine = mysqlEngine(options);
  try {
    await prepareDatabase(engine, options);
  } catch (error) {
    await engine.close();
    const advice = adviceOf(error);
    throw new Error(
      `the database ${placeOf(options)} cannot be used: ${messageOf(error)}${advice === '' ? '' : `; ${advice}`}`,
      { cause: error },
    );
  }
  return storeOn(engine);
}
