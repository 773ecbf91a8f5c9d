// The request path of an outbound listener: from the local application to a service of the mesh. Who may answer is
// judged at the upstream's handshake; whether the request is allowed, by the policy of the other side.
import type { Hono } from 'hono';
import type { Logger } from '../daemon/log.ts';
import { createApp } from './layers/app.ts';
import { canonicalise } from './layers/canonicalise.ts';
import type { ProxyEnv } from './layers/environment.ts';
import { forward } from './layers/forward.ts';
import { record } from './layers/record.ts';
import { route } from './layers/route.ts';
import type { Stats } from './stats.ts';
import type { Upstream } from './upstream/upstream.ts';

/** What the layers need. */
export interface OutboundParts {
  readonly log: Logger;
  readonly stats: Stats;
  readonly upstream: Upstream;
}

/** The layers, top-down. `record` is outermost: it sees what became of every request. */
export function createOutboundApp({ log, stats, upstream }: OutboundParts): Hono<ProxyEnv> {
  const app = createApp();
  app.use(record({ log, stats }));
  app.use(canonicalise());
  app.use(route(upstream));
  app.use(forward({ stats }));
  return app;
}
