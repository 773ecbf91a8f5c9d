// Serves a Hono app, or anything with a fetch method, over mutual TLS on all three runtimes.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyStreamOf } from '../fetch/body-stream.ts';
import { createHttpsServer, type GuardedServer, type GuardedServerOptions } from '../tls/server.ts';

/** What a request is accompanied by: `c.env` in Hono, with the names that `@hono/node-server` uses. */
export interface NodeBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/** An app: Hono is one. */
export interface FetchApp {
  fetch(request: Request, bindings: NodeBindings): Response | Promise<Response>;
}

/** Options of {@link serveHono}. */
export interface ServeHonoOptions extends GuardedServerOptions {
  /** Told of an error that the app threw; the caller is answered 500. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Serves an app over mutual TLS, HTTP/1.1. Call `listen` on the result's `server`. Handlers learn who calls by the
 * `spiffePeer` middleware.
 *
 * @throws what `source.current()` throws.
 */
export function serveHono(app: FetchApp, options: ServeHonoOptions): GuardedServer {
  return createHttpsServer(options, (incoming, outgoing) => {
    answer(app, { incoming, outgoing }).catch((error: unknown) => {
      options.onError?.(error);
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(500).end('Internal Server Error');
    });
  });
}

async function answer(app: FetchApp, bindings: NodeBindings): Promise<void> {
  const { incoming, outgoing } = bindings;
  const request = requestOf(incoming);
  if (request === undefined) {
    outgoing.writeHead(400, { Connection: 'close' }).end('Bad Request');
    return;
  }
  await send(await app.fetch(request, bindings), incoming, outgoing);
}

// Undefined: no app should see it. One Host, and a path: no other form of target reaches an origin server (RFC 9112 3.2).
function requestOf(incoming: IncomingMessage): Request | undefined {
  const { method = 'GET', url = '', rawHeaders } = incoming;
  const headers = new Headers();
  let hosts = 0;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.toLowerCase() === 'host') hosts++;
    headers.append(rawHeaders[at]!, rawHeaders[at + 1]!);
  }
  const target =
    hosts === 1 && url.startsWith('/') ? URL.parse(`https://${headers.get('host')}${url}`) : null;
  if (target === null || target.username !== '' || target.password !== '') return undefined;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const body = hasBody
    ? bodyStreamOf(incoming, (cause) => new Error('the request ended early', { cause }))
    : null;
  return new Request(target, { method, headers, body, ...(hasBody ? { duplex: 'half' } : {}) });
}

async function send(response: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  for (const [name, value] of response.headers) if (name !== 'set-cookie') outgoing.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies);
  outgoing.writeHead(response.status);
  if (response.body === null || incoming.method === 'HEAD') {
    await response.body?.cancel();
    outgoing.end();
    return;
  }
  const reader = response.body.getReader();
  const gone = once(outgoing, 'close');
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(piece.value)) await Promise.race([once(outgoing, 'drain'), gone]);
    }
    outgoing.end();
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
