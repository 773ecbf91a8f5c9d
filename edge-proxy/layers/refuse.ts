// How a layer says no: the caller learns a status and a request id, the log learns why.
import type { Context } from 'hono';
import { refusalResponse } from '../listener/refusal.ts';
import type { ProxyEnv } from './environment.ts';

/** The answer of a layer that refuses. */
export function refuse(c: Context<ProxyEnv>, status: number, reason: string): Response {
  c.set('reason', reason);
  return refusalResponse(status, c.env.id);
}
