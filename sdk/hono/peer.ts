// Tells handlers who calls, as the TLS connection proved it.
import type { Context, MiddlewareHandler } from 'hono';
import type { SpiffeId } from '../spiffe-id.ts';
import { expectNoVerdict, type Authorizer } from '../tls/authorizer.ts';
import { peerOf } from '../tls/supervise.ts';
import type { VerifiedX509Svid } from '../x509-svid/verify.ts';

/** What {@link spiffePeer} adds to `c.var`. */
export interface PeerVariables {
  /** Who calls. */
  readonly spiffeId: SpiffeId;
  /** The caller's verified SVID. */
  readonly spiffePeer: VerifiedX509Svid;
}

/** Options of {@link spiffePeer}. */
export interface SpiffePeerOptions {
  /** Who may call what comes after. Default: whoever the server accepted. */
  readonly authorize?: Authorizer;
  /** Where the verified peer of a request is found. Default {@link nodePeer}. */
  readonly peer?: (context: Context) => VerifiedX509Svid | undefined;
}

/**
 * Middleware that gives handlers the caller: `c.var.spiffeId`. A request without a verified peer is answered 401, one whose
 * peer `authorize` refuses 403; neither answer says why. An `authorize` that returns anything is a mistake, answered 500.
 */
export function spiffePeer(options: SpiffePeerOptions = {}): MiddlewareHandler<{ Variables: PeerVariables }> {
  const { authorize, peer: find = nodePeer } = options;
  return async function spiffePeer(context, next) {
    const peer = find(context);
    if (peer === undefined) return context.text('Unauthorized', 401);
    let verdict: unknown;
    try {
      verdict = authorize?.(peer.id, peer);
    } catch {
      return context.text('Forbidden', 403);
    }
    expectNoVerdict(verdict);
    context.set('spiffeId', peer.id);
    context.set('spiffePeer', peer);
    await next();
  };
}

/**
 * The peer of a request that came through `serveHono`, or through `@hono/node-server` on a guarded server: both put the
 * node:http request into `c.env.incoming`.
 */
export function nodePeer(context: Context): VerifiedX509Svid | undefined {
  const { incoming } = (context.env ?? {}) as { incoming?: { socket?: object } };
  return incoming?.socket === undefined ? undefined : peerOf(incoming.socket);
}
