// Where it goes: the one upstream of the listener.
import { createMiddleware } from 'hono/factory';
import type { Upstream } from '../upstream/upstream.ts';
import type { ProxyEnv } from './environment.ts';

/** Sends everything to one upstream. */
export function route(upstream: Upstream) {
  return createMiddleware<ProxyEnv>(async function route(c, next) {
    c.set('upstream', upstream);
    await next();
  });
}
