// What the three services of the example share: a plain HTTP server, and calls to a neighbour. Nothing here knows of a
// mesh: a neighbour is an address, and what answers there is somebody else's business.
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';

/** An answer to a request. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Serves HTTP on `LISTEN` (a port, `host:port`, or the path of a Unix socket) until SIGTERM. */
export function serve(handle: (method: string, path: string) => Answer | Promise<Answer>): void {
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    void answer(incoming, outgoing, handle);
  });
  const listen = process.env['LISTEN'] ?? '127.0.0.1:8080';
  server.on('error', (error) => {
    process.stderr.write(`cannot listen on ${listen}: ${error.message}\n`);
    process.exitCode = 1;
    process.stdin.destroy();
  });
  const place = /^(?:(.*):)?(\d+)$/.exec(listen);
  if (place === null) server.listen(listen);
  else server.listen(Number(place[2]), place[1] ?? '127.0.0.1');
  const stop = () => {
    server.close();
    server.closeAllConnections();
    process.stdin.destroy();
  };
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
  // The example's launcher holds the other end: when it ends in any way, so does the service.
  process.stdin.on('end', stop).on('error', stop).resume();
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handle: (method: string, path: string) => Answer | Promise<Answer>,
): Promise<void> {
  let result: Answer;
  try {
    result = await handle(incoming.method ?? 'GET', incoming.url ?? '/');
  } catch (error) {
    result = { status: 502, body: { error: (error as Error).message } };
  }
  outgoing.writeHead(result.status, { 'content-type': 'application/json' });
  outgoing.end(`${JSON.stringify(result.body)}\n`);
}

/** Calls a neighbour: `address` is `host:port` or the path of a Unix socket. */
export function call(
  address: string,
  method: string,
  path: string,
): Promise<{ status: number; requestId: string; body: unknown }> {
  const place = /^([^/]*):(\d+)$/.exec(address);
  const target = place === null ? { socketPath: address } : { host: place[1]!, port: Number(place[2]) };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { ...target, method, path, headers: { host: 'shop' }, timeout: 5_000 },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => (text += chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          let body: unknown = text;
          try {
            body = JSON.parse(text);
          } catch {
            // Not JSON: shown as it came.
          }
          resolve({
            status: incoming.statusCode ?? 0,
            requestId: String(incoming.headers['x-request-id'] ?? ''),
            body,
          });
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${address} did not answer`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
