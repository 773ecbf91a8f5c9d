// Sends the request on, exactly as it was authorised, and hands the response back without touching its body.
import { createMiddleware } from 'hono/factory';
import { messageOf, SpiffeError } from '../../sdk/error.ts';
import { endToEnd, isOurs, type Fields } from '../http1/fields.ts';
import { HttpError } from '../http1/error.ts';
import { streamOf } from '../http1/incoming-body.ts';
import type { Exchange } from '../listener/exchange.ts';
import { UpstreamError } from '../upstream/error.ts';
import type { Stats } from '../stats.ts';
import type { UpstreamResponse } from '../upstream/upstream-connection.ts';
import type { ProxyEnv } from './environment.ts';
import { refuse } from './refuse.ts';

/** Options of {@link forward}. */
export interface ForwardOptions {
  readonly stats: Stats;
  /** Fields that we vouch for towards the upstream. */
  readonly added?: (exchange: Exchange) => Fields;
}

const NULL_BODY = new Set([204, 205, 304]);

/** Forwards to the upstream that `route` chose. */
export function forward(options: ForwardOptions) {
  return createMiddleware<ProxyEnv>(async function forward(c) {
    const exchange = c.env;
    const { head, body } = exchange;
    const { target, upstream } = c.var;
    exchange.wantBody();
    let response: UpstreamResponse;
    try {
      response = await upstream.send(
        {
          method: head.method,
          target: target.path + target.query,
          host: head.host,
          fields: [
            ...endToEnd(head.fields).filter(([name]) => !isOurs(name)),
            ['x-request-id', exchange.id],
            ...(options.added?.(exchange) ?? []),
          ],
          framing: head.framing,
        },
        body,
      );
    } catch (error) {
      if (error instanceof SpiffeError && error.code === 'ERR_SVID_UNEXPECTED_ID') {
        c.set('upstreamId', String(error.detail.seen));
        c.set('decision', { verdict: 'deny', rule: 'upstream-accept', reason: error.message });
        options.stats.upstream_refusals++;
      }
      return refuse(c, statusOf(error), messageOf(error));
    }
    const { peer } = response.connection.socket;
    if (peer !== undefined) {
      c.set('upstreamId', peer.id);
      c.set('decision', {
        verdict: 'allow',
        rule: 'upstream-accept',
        reason: 'the upstream proved an accepted ID',
      });
      const id = response.head.fields.find(([name]) => name === 'x-request-id')?.[1];
      if (id !== undefined && /^[0-9a-f]{32}$/.test(id)) c.set('upstreamRequestId', id);
    }
    exchange.onAbort(() => response.connection.destroy());
    return forwarded(exchange, response);
  });
}

function forwarded(exchange: Exchange, { head, body }: UpstreamResponse): Response {
  const headers = new Headers();
  const keepsLength = exchange.head.method === 'HEAD' || head.status === 304;
  for (const [name, value] of endToEnd(head.fields)) headers.append(name, value);
  const length = keepsLength ? head.fields.find(([name]) => name === 'content-length') : undefined;
  if (length !== undefined) headers.set('content-length', length[1]);
  const bodyless = head.framing.kind === 'none' || NULL_BODY.has(head.status);
  const stream = bodyless ? null : streamOf(body);
  exchange.forwarded = { stream, body };
  return new Response(stream, { status: head.status, headers });
}

function statusOf(error: unknown): number {
  if (error instanceof UpstreamError || error instanceof HttpError) return error.status;
  // The peer's identity was refused, or we have none to present.
  return error instanceof SpiffeError ? 503 : 502;
}
