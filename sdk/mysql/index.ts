// MySQL and MariaDB by mysql2, over mutual TLS with an SVID.
import type { Duplex } from 'node:stream';
import type { MutualTlsOptions } from '../tls/options.ts';
import { MysqlStream } from './mysql-stream.ts';

/** What to add to the options of mysql2's `createConnection` or `createPool`. */
export interface MysqlOptions {
  /** Makes the connection. mysql2 calls it for each new one, so each presents the SVID of its time. */
  readonly stream: (options: {
    readonly config: { readonly host?: string; readonly port?: number };
  }) => Duplex;
}

/**
 * Options for `mysql2` with which every connection presents the source's current SVID and accepts only servers that
 * `authorize` accepts: `createPool({ ...mysqlOptions({ source, authorize }), host, user, database })`. Leave `ssl` out: TLS
 * is in the stream. Neither the user's name nor anything made of a password is sent before the server is verified.
 *
 * Not by mysql2's own `ssl` option: it verifies by host name, leaves no room for another check, and keeps sessions.
 *
 * @throws TypeError without an authorizer.
 */
export function mysqlOptions(options: MutualTlsOptions): MysqlOptions {
  if (typeof options.authorize !== 'function')
    throw new TypeError('mysqlOptions needs an authorizer: whom to connect to');
  return {
    stream: ({ config: { host = 'localhost', port = 3306 } }) => new MysqlStream(options, { host, port }),
  };
}
