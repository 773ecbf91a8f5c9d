// Who calls: somebody who may open the local socket, or a peer over TLS with or without an SVID.
import type { TlsCaller } from '../../daemon/grpc/tls-listener.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { CallContext } from '../../daemon/grpc/server.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';

export type Caller = { readonly kind: 'local' } | TlsCaller;

export type Context = CallContext<Caller>;

/** The name of a caller in logs. */
export function nameOf(caller: Caller): string {
  return caller.kind === 'local' ? 'local' : (caller.svid?.id ?? 'anonymous');
}

/** The caller's SPIFFE ID in a method that only agents reach. */
export function agentIdOf(context: Context): SpiffeId {
  const { caller } = context;
  if (caller.kind === 'tls' && caller.svid !== undefined) return caller.svid.id;
  throw new RpcError('INTERNAL', 'caller ID missing from request context');
}
