// The admin listener: what a person or a probe on this machine may ask of the proxy.
import type { Hono } from 'hono';
import { createApp } from './layers/app.ts';
import { canonicalise } from './layers/canonicalise.ts';
import type { ProxyEnv } from './layers/environment.ts';
import type { Stats } from './stats.ts';

/** Who this proxy is. Times are milliseconds since 1970. */
export interface OwnIdentity {
  readonly id: string;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What the admin listener shows. */
export interface AdminParts {
  readonly stats: Stats;
  readonly process: { readonly pid: number; readonly runtime: string };
  /** Undefined while there is none. */
  readonly identity: () => OwnIdentity | undefined;
  /** Whether every listener is bound and there is an identity. */
  readonly ready: () => boolean;
}

/** `GET /ready`, `GET /identity`, `GET /stats`. */
export function createAdminApp({ stats, process, identity, ready }: AdminParts): Hono<ProxyEnv> {
  const app = createApp();
  app.use(canonicalise());
  app.get('/ready', (c) => c.json({ ready: ready() }, ready() ? 200 : 503));
  app.get('/identity', (c) => {
    const own = identity();
    if (own === undefined) return c.json({ ...process, error: 'no identity yet' }, 503);
    return c.json({
      id: own.id,
      serial: own.serial,
      not_before: new Date(own.notBefore).toISOString(),
      not_after: new Date(own.notAfter).toISOString(),
      ...process,
    });
  });
  app.get('/stats', (c) => c.json(stats));
  return app;
}
