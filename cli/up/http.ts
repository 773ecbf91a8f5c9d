// Small HTTP calls of the demo: to its services and to the proxies' admin sockets.
import { request } from 'node:http';

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly requestId: string;
  readonly body: string;
}

/** Calls a Unix socket, or a port on loopback. */
export function httpCall(
  target: { socketPath: string } | { port: number },
  method: string,
  path: string,
  timeout = 5_000,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', ...target, method, path, headers: { host: 'shop' }, agent: false, timeout },
      (incoming) => {
        let body = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => (body += chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            requestId: String(incoming.headers['x-request-id'] ?? ''),
            body,
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeout} ms`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** A JSON answer of an admin socket, or undefined while it is not there or not ready. */
export async function adminJson<T>(socketPath: string, path: string): Promise<T | undefined> {
  try {
    const answer = await httpCall({ socketPath }, 'GET', path, 2_000);
    return answer.status === 200 ? (JSON.parse(answer.body) as T) : undefined;
  } catch {
    return undefined;
  }
}
