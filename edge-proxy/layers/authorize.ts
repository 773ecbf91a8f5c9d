// Whether it may: by policy, on the proven identity, the method and the canonical path.
import { createMiddleware } from 'hono/factory';
import { evaluate, type CompiledPolicy } from '../../sdk/policy/policy.ts';
import type { ProxyEnv } from './environment.ts';
import { refuse } from './refuse.ts';

/** Decides by the policy that `current` gives now. */
export function authorize(current: () => CompiledPolicy) {
  return createMiddleware<ProxyEnv>(async function authorize(c, next) {
    const request = { id: c.var.peer, method: c.env.head.method, path: c.var.target.path };
    const decision = evaluate(current(), request);
    c.set('decision', decision);
    if (decision.verdict !== 'allow') return refuse(c, 403, decision.reason);
    await next();
    return undefined;
  });
}
