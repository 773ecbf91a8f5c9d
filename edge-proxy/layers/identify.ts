// Who asks: the identity that our verifier found at the handshake. A header never makes one.
import { createMiddleware } from 'hono/factory';
import type { ProxyEnv } from './environment.ts';
import { refuse } from './refuse.ts';

/** On a listener of the mesh: the peer of the connection. */
export function identify() {
  return createMiddleware<ProxyEnv>(async function identify(c, next) {
    const { peer } = c.env.origin;
    // The transport lets no connection without a verified peer through; should it ever, nothing passes here.
    if (peer === undefined) return refuse(c, 403, 'the connection has no verified peer');
    c.set('peer', peer.id);
    await next();
    return undefined;
  });
}
