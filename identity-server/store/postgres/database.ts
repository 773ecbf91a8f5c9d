// Connections to PostgreSQL that never hang: what does not answer in time is given up together with its connection.
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { DatabaseSettings, TlsSettings } from '../settings.ts';

/** Milliseconds. */
export const TIMEOUTS = {
  connect: 5_000,
  query: 10_000,
  /** The database gives up a little earlier than we do, so that its reason is heard. */
  statement: 9_000,
  /** A server that is cut off in the middle of a write must not keep the others from writing. */
  idleInTransaction: 5_000,
} as const;

const { INT8 } = pg.types.builtins;
// Revisions and times, all of which a number holds.
const types = {
  getTypeParser: (oid, format) => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format)),
} as typeof pg.types;

/** A client whose connection ends when a query is not answered in time: nobody else must get it then. */
export class ImpatientClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    // Without a listener the error of a connection that breaks would end the process; its query fails, too.
    this.on('error', () => {});
  }

  // One signature of the many: it is what kysely and we call.
  override query = ((...parameters: Parameters<pg.Client['query']>) => {
    const result = super.query(...parameters) as unknown;
    if (!(result instanceof Promise)) return result;
    return result.catch((error: Error) => {
      if (error.message === 'Query read timeout') {
        (this as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      }
      throw error;
    });
  }) as pg.Client['query'];
}

/** What every connection is made with. */
export function clientConfig(settings: DatabaseSettings): pg.ClientConfig {
  const { host, port, name, user, password, tls } = settings;
  return {
    host,
    port,
    database: name,
    user,
    password,
    ssl: tls === undefined ? false : tlsOptions(tls, host),
    types,
    application_name: 'identity-server',
    // The database, too, finds out when we are gone.
    options: '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: TIMEOUTS.connect,
    query_timeout: TIMEOUTS.query,
    statement_timeout: TIMEOUTS.statement,
    lock_timeout: TIMEOUTS.statement,
    idle_in_transaction_session_timeout: TIMEOUTS.idleInTransaction,
  };
}

// The driver takes the name from the host alone, unless it is told how to check.
function tlsOptions({ ca, cert, key, servername }: TlsSettings, host: string): ConnectionOptions {
  const name = servername ?? host;
  return {
    ca,
    cert,
    key,
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
  };
}

/** A pool of connections. */
export function openPool(settings: DatabaseSettings): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(settings),
    Client: ImpatientClient,
    max: settings.maxConnections,
  });
  // An idle connection that ends is replaced when one is needed.
  pool.on('error', () => {});
  return pool;
}
