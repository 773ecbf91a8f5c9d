// What is asked for: a path with one reading only, or nothing.
import { createMiddleware } from 'hono/factory';
import { isRefusal } from '../../sdk/policy/policy.ts';
import type { ProxyEnv } from './environment.ts';
import { refuse } from './refuse.ts';

/** Refuses targets that two servers could read differently. The engine computed the path before, for routing. */
export function canonicalise() {
  return createMiddleware<ProxyEnv>(async function canonicalise(c, next) {
    const { target } = c.env;
    if (isRefusal(target)) return refuse(c, 400, target.refusal);
    c.set('target', target);
    await next();
    return undefined;
  });
}
