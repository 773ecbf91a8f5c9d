// The request path of an inbound listener: from the mesh to the local application.
import type { Hono } from 'hono';
import type { Logger } from '../daemon/log.ts';
import type { CompiledPolicy } from '../sdk/policy/policy.ts';
import { createApp } from './layers/app.ts';
import { authorize } from './layers/authorize.ts';
import { canonicalise } from './layers/canonicalise.ts';
import type { ProxyEnv } from './layers/environment.ts';
import { forward } from './layers/forward.ts';
import { identify } from './layers/identify.ts';
import { identityFields } from './layers/identity-headers.ts';
import { record } from './layers/record.ts';
import { route } from './layers/route.ts';
import type { Stats } from './stats.ts';
import type { Upstream } from './upstream/upstream.ts';

/** What the layers need. */
export interface InboundParts {
  readonly log: Logger;
  readonly stats: Stats;
  readonly policy: () => CompiledPolicy;
  readonly application: Upstream;
}

/** The layers, top-down. `record` is outermost: it sees what became of every request. */
export function createInboundApp({ log, stats, policy, application }: InboundParts): Hono<ProxyEnv> {
  const app = createApp();
  app.use(record({ log, stats }));
  app.use(identify());
  app.use(canonicalise());
  app.use(authorize(policy));
  app.use(route(application));
  app.use(forward({ stats, added: identityFields }));
  return app;
}
