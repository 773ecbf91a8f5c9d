// Who calls: somebody who may open the local socket, or a peer over TLS with or without an SVID.
import type { TlsCaller } from '../../daemon/grpc/tls-listener.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { CallContext } from '../../daemon/grpc/server.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import type { AuditFields } from './audit-fields.ts';

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

/** As what a caller was let in, and where that was found out (SPIRE's words). */
export interface Authorization {
  readonly as: 'local' | 'admin' | 'downstream' | 'agent';
  readonly via: 'transport' | 'config' | 'entries' | 'datastore';
}

const authorizations = new WeakMap<Context, Authorization>();

/** Notes the grounds on which a call was let in, for the audit log. */
export function noteAuthorization(context: Context, authorization: Authorization): void {
  authorizations.set(context, authorization);
}

/** The grounds on which a call was let in; undefined where everybody is. */
export function authorizationOf(context: Context): Authorization | undefined {
  return authorizations.get(context);
}

const notes = new WeakMap<Context, AuditFields>();

/** Adds to what the audit log says of a call: what only the handler knows. */
export function noteForAudit(context: Context, fields: AuditFields): void {
  notes.set(context, { ...notes.get(context), ...fields });
}

/** What a handler added. */
export function notesOf(context: Context): AuditFields {
  return notes.get(context) ?? {};
}
