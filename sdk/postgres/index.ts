// PostgreSQL by pg, over mutual TLS with an SVID.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { SpiffeError } from '../error.ts';
import { connectTls } from '../tls/connect.ts';
import { DeferredStream, type Channel } from '../tls/deferred-stream.ts';
import type { MutualTlsOptions } from '../tls/options.ts';

/** What to add to the options of pg's `Client` or `Pool`. */
export interface PostgresOptions {
  /** Makes the connection. pg calls it for each new one, so each presents the SVID of its time. */
  readonly stream: () => Duplex;
  /** TLS is in the stream: pg itself must not begin it again. */
  readonly ssl: false;
}

/**
 * Options for `pg` with which every connection presents the source's current SVID and accepts only servers that
 * `authorize` accepts: `new Pool({ ...postgresOptions({ source, authorize }), host, user, database })`. Not even the user's
 * name is sent before the server is verified. Connections end when the server's SVID expires or its CA is withdrawn;
 * give a Pool `maxLifetimeSeconds` below the life of an SVID so that they are replaced while idle.
 *
 * Not by pg's own `ssl` option, whose verdict is the runtime's, by host name.
 *
 * @throws TypeError without an authorizer.
 */
export function postgresOptions(options: MutualTlsOptions): PostgresOptions {
  if (typeof options.authorize !== 'function')
    throw new TypeError('postgresOptions needs an authorizer: whom to connect to');
  return { stream: () => new PostgresStream(options), ssl: false };
}

// SSLRequest (PostgreSQL, "Message Formats"): length 8, code 80877103.
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f);
const YES = 0x53; // 'S'

class PostgresStream extends DeferredStream {
  readonly #options: MutualTlsOptions;

  constructor(options: MutualTlsOptions) {
    super();
    this.#options = options;
  }

  /** Called by pg. */
  connect(port: number | string, host?: string): this {
    this.start(async (): Promise<Channel> => {
      if (typeof port !== 'number' || host === undefined)
        throw new TypeError('an SVID is for TCP: give a host, not the path of a socket');
      const raw = connect(port, host);
      this.once('close', () => raw.destroy());
      await once(raw, 'connect');
      await requestTls(raw);
      return { socket: await connectTls({ ...this.#options, target: { socket: raw } }) };
    });
    return this;
  }
}

async function requestTls(raw: Socket): Promise<void> {
  raw.write(SSL_REQUEST);
  const [answer] = (await Promise.race([once(raw, 'data'), once(raw, 'close').then(() => [])])) as [
    Uint8Array | undefined,
  ];
  raw.pause();
  // One byte and no more: what came along unencrypted could be taken for the server's (CVE-2021-23222).
  if (answer?.length !== 1 || answer[0] !== YES) {
    raw.destroy();
    throw new SpiffeError('ERR_TLS', 'the PostgreSQL server does not speak TLS: set ssl = on there');
  }
}
