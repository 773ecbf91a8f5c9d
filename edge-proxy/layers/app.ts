// How every listener's Hono app is made.
import { Hono } from 'hono';
import { messageOf } from '../../sdk/error.ts';
import { isRefusal } from '../../sdk/policy/policy.ts';
import type { ProxyEnv } from './environment.ts';
import { refuse } from './refuse.ts';

/** An app without layers. What throws is a 500, what matches nothing a 404: neither tells the caller more. */
export function createApp(): Hono<ProxyEnv> {
  const app = new Hono<ProxyEnv>({
    // Hono matches the canonical path that the engine computed. By itself it would match a decoded one: `/%61dmin` would
    // hit `/admin/*`. A target without a canonical path is refused by `canonicalise`, before anything routes on it.
    getPath: (_request, options) => {
      const { target } = options!.env!;
      return isRefusal(target) ? '/' : target.path;
    },
  });
  app.onError((error, c) => refuse(c, 500, messageOf(error)));
  app.notFound((c) => refuse(c, 404, 'nothing answers here'));
  return app;
}
