// One line a request, whatever became of it: who, what, the verdict and its rule, where to, how long.
import { createMiddleware } from 'hono/factory';
import type { Logger } from '../../daemon/log.ts';
import type { ProxyEnv } from './environment.ts';
import type { Stats } from '../stats.ts';

/** Options of {@link record}. */
export interface RecordOptions {
  readonly log: Logger;
  readonly stats: Stats;
}

/** Wraps all layers below it. The line is written when the response ends, so that its time is the whole time. */
export function record({ log, stats }: RecordOptions) {
  return createMiddleware<ProxyEnv>(async function record(c, next) {
    const { id, origin, head } = c.env;
    c.env.onEnd(({ status, milliseconds, error }) => {
      const { decision, reason } = c.var;
      const verdict = decision?.verdict ?? 'deny';
      stats.requests[verdict]++;
      log.info({
        request_id: id,
        parent_request_id: parentOf(c.env.head.fields, origin.peer !== undefined),
        listener: origin.listener,
        direction: origin.direction,
        peer: c.var.peer,
        method: head.method,
        path: c.var.target?.path ?? head.target,
        status,
        verdict,
        rule: decision?.rule ?? 'none',
        reason: error?.message ?? reason ?? decision?.reason,
        upstream: c.var.upstream?.name,
        upstream_id: c.var.upstreamId,
        upstream_request_id: c.var.upstreamRequestId,
        duration_ms: Math.round(milliseconds * 1_000) / 1_000,
      });
    });
    await next();
  });
}

// A proxy of the mesh sends its own request id along: with both, one search finds both lines. Only the form is trusted.
function parentOf(fields: readonly (readonly [string, string])[], fromMesh: boolean): string | undefined {
  if (!fromMesh) return undefined;
  const id = fields.find(([name]) => name === 'x-request-id')?.[1];
  return id !== undefined && /^[0-9a-f]{32}$/.test(id) ? id : undefined;
}
