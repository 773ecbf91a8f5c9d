// One request and its answer.
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { SpiffeError } from '../error.ts';
import type { MutualTlsAgent } from './agent.ts';
import { sendBody, type RequestBody } from './request-body.ts';
import { responseOf } from './response.ts';

/** A request that is ready to go. */
export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: RequestBody;
  readonly signal: AbortSignal;
}

// RFC 9110 9.2.2: what may be sent again when nobody knows whether it arrived.
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
const MAX_ATTEMPTS = 3;

/** Why an exchange failed, and whether the server may have been closing the connection when the request came. */
class Failure extends Error {
  readonly mayRepeat: boolean;

  constructor(cause: unknown, mayRepeat: boolean) {
    super('the exchange failed', { cause });
    this.mayRepeat = mayRepeat;
  }
}

/**
 * Sends a request and gives the answer as soon as its head is there. An idempotent request whose kept connection was
 * ended before an answer, by either side, is sent again on another one.
 */
export async function exchange(agent: MutualTlsAgent, outgoing: Outgoing): Promise<Response> {
  const repeatable = IDEMPOTENT.has(outgoing.method) && !(outgoing.body instanceof ReadableStream);
  for (let attempt = 1; ; attempt++) {
    outgoing.signal.throwIfAborted();
    agent.retire();
    try {
      return await attemptOnce(agent, outgoing);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (!error.mayRepeat || !repeatable || attempt === MAX_ATTEMPTS) throw error.cause;
    }
  }
}

function attemptOnce(agent: MutualTlsAgent, outgoing: Outgoing): Promise<Response> {
  const { method, url, headers, body, signal } = outgoing;
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      agent,
      protocol: 'http:', // the agent brings TLS
      host: hostOf(url),
      port: url.port === '' ? 443 : Number(url.port),
      method,
      path: `${url.pathname}${url.search}`,
      headers: headersFor(url, headers, body),
    });
    const abort = () => {
      reject(signal.reason);
      request.destroy(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    const forget = () => signal.removeEventListener('abort', abort);
    request.once('response', (message: IncomingMessage) => {
      message.once('close', forget);
      try {
        resolve(responseOf(message, outgoing));
      } catch (error) {
        request.destroy();
        reject(error);
      }
    });
    // A 101 was never asked for, and what follows it is not HTTP.
    request.once('upgrade', () =>
      request.destroy(new SpiffeError('ERR_HTTP', 'the server changed the protocol')),
    );
    const fail = failing(request, agent, (failure) => {
      forget();
      reject(failure);
    });
    sendBody(request, body).catch(fail);
  });
}

// Tells of the first failure, with the cause that matters and whether another connection may help.
function failing(request: ClientRequest, agent: MutualTlsAgent, tell: (failure: Failure) => void) {
  let socket: object | undefined;
  let kept = false;
  request.once('socket', (assigned) => {
    socket = assigned;
    kept = agent.wasUsed(assigned);
  });
  const fail = (error: unknown) => {
    const ended = socket && agent.endOf(socket);
    const cause = ended instanceof SpiffeError ? ended : error;
    const mayRepeat = kept || ended instanceof SpiffeError;
    tell(
      new Failure(cause instanceof SpiffeError ? cause : fetchFailed(cause, socket !== undefined), mayRepeat),
    );
  };
  request.on('error', fail);
  request.once('close', () => fail(new Error('closed')));
  return fail;
}

function fetchFailed(cause: unknown, connected: boolean): TypeError {
  const hint = connected
    ? ': the server closed the connection (it does so, too, where it refuses our SVID)'
    : '';
  return new TypeError(`fetch failed${hint}`, { cause });
}

// Framing is ours, and Host is what the URL says: a header that disagreed would name another service.
const OURS = [
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

function headersFor(url: URL, headers: Headers, body: RequestBody): Record<string, string> {
  for (const name of OURS) {
    if (headers.has(name)) throw new TypeError(`the header ${name} is set by fetch itself`);
  }
  const all: Record<string, string> = { host: url.host, ...Object.fromEntries(headers) };
  if (body instanceof Uint8Array) all['content-length'] = String(body.length);
  else if (body !== undefined) all['transfer-encoding'] = 'chunked';
  return all;
}

function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
}
