// What the layers of a listener share: the exchange (`c.env`) and what each layer finds out (`c.var`).
import type { Decision } from '../../sdk/policy/policy.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { Exchange } from '../listener/exchange.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** The environment of a layer, and of every filter. */
export interface ProxyEnv {
  Bindings: Exchange;
  Variables: {
    /** Who asks, proven at the handshake. Set by `identify`. */
    peer: SpiffeId;
    /** Path and query. Set by `canonicalise`. */
    target: { readonly path: string; readonly query: string };
    /** Set by the layer that decided. */
    decision: Decision;
    /** Set by `route`. */
    upstream: Upstream;
    /** The SPIFFE ID that the upstream proved. Set by `forward`. */
    upstreamId: string;
    /** The request id that the upstream's proxy gave. Set by `forward`. */
    upstreamRequestId: string;
    /** Why the request failed, for the log. */
    reason: string;
  };
}
