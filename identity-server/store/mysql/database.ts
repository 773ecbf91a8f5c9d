// Connections to MySQL or MariaDB that never hang: what does not answer in time is given up together with its connection.
import type { MysqlPool, MysqlPoolConnection } from 'kysely';
import { createPool, type PoolConnection } from 'mysql2';
import type { DatabaseSettings } from '../settings.ts';

// Milliseconds.
const CONNECT = 5_000;
const QUERY = 10_000;
const KEPT_IDLE = 3_000;
// Seconds. A server that is cut off in the middle of a write must not keep the others from writing: the database ends
// connections that say nothing. Ours that are idle are closed before.
const SESSION =
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION innodb_lock_wait_timeout = 9, SESSION wait_timeout = 8";

/** A pool of connections, as kysely takes it. */
export async function openPool(settings: DatabaseSettings): Promise<MysqlPool> {
  const { host, port, name, user, tls, maxConnections } = settings;
  const pool = createPool({
    host,
    port,
    database: name,
    user,
    password: await settings.password(),
    ssl: tls && {
      ...tls,
      rejectUnauthorized: true,
      verifyIdentity: true,
    },
    charset: 'utf8mb4_bin',
    // Names are kept as bytes: text would be equal to itself with spaces behind it.
    typeCast: (field, next) => (field.type === 'VAR_STRING' ? field.string() : next()),
    connectionLimit: maxConnections,
    maxIdle: maxConnections,
    idleTimeout: KEPT_IDLE,
    connectTimeout: CONNECT,
    enableKeepAlive: true,
  });
  pool.on('connection', (connection) => connection.query(SESSION, () => {}));
  return {
    getConnection: (callback) =>
      pool.getConnection((error, connection) => {
        if (error) callback(error, undefined as never);
        else callback(undefined, impatient(connection));
      }),
    end: (callback) => pool.end((error) => callback(error ?? undefined)),
  };
}

function impatient(connection: PoolConnection): MysqlPoolConnection {
  let broken = false;
  return {
    threadId: connection.threadId,
    query(sql: string, values: readonly unknown[], callback?: (error: unknown, result: unknown) => void) {
      return connection.query({ sql, values: [...values], timeout: QUERY }, (error, result) => {
        if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') {
          broken = true;
          connection.destroy();
        }
        callback?.(error, result);
      });
    },
    release: () => {
      if (!broken) connection.release();
    },
    destroy: () => {
      broken = true;
      connection.destroy();
    },
  } as unknown as MysqlPoolConnection;
}
