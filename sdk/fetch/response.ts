// An answer of node:http as a Response, its body pulled as it is read.
import type { IncomingMessage } from 'node:http';
import { SpiffeError } from '../error.ts';
import { bodyStreamOf } from './body-stream.ts';

const WITHOUT_BODY = new Set([204, 205, 304]);

/**
 * Makes a Response. Its body fails if the connection ends early.
 *
 * @throws SpiffeError `ERR_HTTP` if the status is none that a Response can have.
 */
export function responseOf(
  message: IncomingMessage,
  asked: { method: string; url: URL; signal: AbortSignal },
): Response {
  const status = message.statusCode ?? 0;
  if (status < 200 || status > 599)
    throw new SpiffeError('ERR_HTTP', `the server answered with status ${status}`);
  const headers = new Headers();
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    headers.append(message.rawHeaders[at]!, message.rawHeaders[at + 1]!);
  }
  const isEmpty = asked.method === 'HEAD' || WITHOUT_BODY.has(status);
  if (isEmpty) message.resume();
  const response = new Response(
    isEmpty
      ? null
      : bodyStreamOf(message, (cause) =>
          asked.signal.aborted ? asked.signal.reason : new TypeError('the answer ended early', { cause }),
        ),
    {
      status,
      statusText: message.statusMessage ?? '',
      headers,
    },
  );
  Object.defineProperty(response, 'url', { value: asked.url.href });
  return response;
}
