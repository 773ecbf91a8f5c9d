// One HTTPS GET over node:tls, with a judge of the peer, a body cap and an end (IO). Not fetch: none of the runtimes'
// lets the caller see the certificate, and each follows redirects by itself.
import { Buffer } from 'node:buffer';
import { request, type IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { messageOf, SpiffeError } from '../error.ts';

/** How a server proves itself. */
export type ServerProof =
  | {
      /** A certificate of a trusted CA for the host of the URL (RFC 6125), judged by the runtime. */
      readonly kind: 'web';
      /** PEM. Default: the runtime's own list. */
      readonly authorities?: readonly string[];
    }
  | {
      /** Whatever `verify` says at the handshake: it throws to refuse. The host name is not looked at. */
      readonly kind: 'own';
      readonly verify: (socket: TLSSocket) => void;
    };

/** A response. The body is read only for status 200. */
export interface GetResponse {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: Uint8Array;
}

/** Options of {@link httpsGet}. */
export interface GetOptions {
  readonly proof: ServerProof;
  /** The largest body, in bytes. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Gets a URL over a connection of its own. Not one byte is sent before the server was verified.
 *
 * @throws SpiffeError `ERR_FEDERATION` for whatever goes wrong on the way, and what `verify` throws.
 */
export async function httpsGet(url: URL, options: GetOptions): Promise<GetResponse> {
  const { signal } = options;
  let socket: TLSSocket | undefined;
  try {
    signal.throwIfAborted();
    socket = connectTls(url, options.proof);
    const opened = socket;
    // Whatever comes after the verdict must not become an uncaught exception.
    opened.on('error', () => {});
    const stop = () => opened.destroy(new Error(abortText(signal)));
    signal.addEventListener('abort', stop, { once: true });
    try {
      await handshake(opened, options.proof);
      return await exchange(opened, url, options);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const problem = signal.aborted ? abortText(signal) : messageOf(cause);
    throw new SpiffeError('ERR_FEDERATION', `GET ${url.host}: ${problem}`, { cause });
  } finally {
    socket?.destroy();
  }
}

function connectTls(url: URL, proof: ServerProof): TLSSocket {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return connect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    // RFC 6066 3: a server name is never an address.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    ...(proof.kind === 'own'
      ? { rejectUnauthorized: false }
      : {
          rejectUnauthorized: true,
          ...(proof.authorities === undefined ? {} : { ca: [...proof.authorities] }),
        }),
  });
}

function handshake(socket: TLSSocket, proof: ServerProof): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the server closed the connection')));
    socket.once('secureConnect', () => {
      try {
        if (proof.kind === 'own') proof.verify(socket);
        else if (!socket.authorized)
          throw socket.authorizationError ?? new Error('the certificate is not trusted');
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

function exchange(socket: TLSSocket, url: URL, { maxBytes }: GetOptions): Promise<GetResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      createConnection: () => socket,
      method: 'GET',
      host: url.hostname,
      path: `${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        accept: 'application/json',
        'accept-encoding': 'identity',
        connection: 'close',
      },
    });
    let answered = false;
    socket.once('close', () => {
      // Once there is a response, its own events say how it ended.
      if (!answered) reject(new Error('the connection ended before the response'));
    });
    outgoing.on('error', reject);
    outgoing.once('response', (response) => {
      answered = true;
      const { statusCode: status = 0, headers } = response;
      const { location } = headers;
      if (status !== 200) resolve({ status, location, body: new Uint8Array() });
      else readBody(response, maxBytes).then((body) => resolve({ status, location, body }), reject);
    });
    outgoing.end();
  });
}

function readBody(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    response.on('data', (chunk: Uint8Array) => {
      size += chunk.length;
      if (size > maxBytes) reject(new Error(`the body is larger than ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    response.on('error', reject);
    const finish = () => {
      if (response.complete) resolve(Buffer.concat(chunks));
      else reject(new Error('the body ended early'));
    };
    for (const end of ['end', 'close', 'aborted']) response.once(end, finish);
  });
}

function abortText(signal: AbortSignal): string {
  const { reason } = signal as { reason: unknown };
  return reason instanceof Error && reason.name === 'TimeoutError' ? 'it took too long' : 'it was stopped';
}
