// The audit log: one line a call, and in batches one line an item. Who, on what grounds, with what, and how it ended.
import { status as grpcStatus } from '@grpc/grpc-js';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Logger } from '../../daemon/log.ts';
import { auditFieldsOf, type AuditFields } from './audit-fields.ts';
import { authorizationOf, nameOf, notesOf, type Context } from './caller.ts';

/** Writes down a call that has ended. */
export type Audit = (context: Context, request: unknown, outcome: AuditOutcome) => void;

/** How a call ended: with an answer, or with an error. */
export type AuditOutcome = { readonly answer: unknown } | { readonly error: unknown };

interface ItemStatus {
  readonly code?: number;
  readonly message?: string;
}

export function createAudit(log: Logger): Audit {
  return (context, request, outcome) => {
    const common = commonFields(context);
    const items = auditFieldsOf(context.path, request);
    if ('error' in outcome) {
      const { code, message } = errorStatus(outcome.error);
      for (const item of items.length === 0 ? [{}] : items) write(log, { ...common, ...item }, code, message);
      return;
    }
    const results = (outcome.answer as { results?: readonly { status?: ItemStatus }[] } | undefined)?.results;
    if (results === undefined) {
      for (const item of items) write(log, { ...common, ...item }, 0, '');
      return;
    }
    for (const [index, { status }] of results.entries()) {
      write(log, { ...common, ...items[index] }, status?.code ?? 0, status?.message ?? '');
    }
  };
}

function write(log: Logger, fields: AuditFields, code: number, message: string): void {
  const how =
    code === 0
      ? { status: 'success' }
      : { status: 'error', status_code: grpcStatus[code] ?? String(code), status_message: message };
  log.info({ type: 'audit', ...how, ...fields }, 'API accessed');
}

function commonFields(context: Context): AuditFields {
  const { caller, path, requestId } = context;
  const grounds = authorizationOf(context);
  return {
    request_id: requestId,
    path,
    ...(caller.kind === 'tls' && { caller_addr: caller.address }),
    ...(caller.kind === 'tls' && caller.svid !== undefined && { caller_id: nameOf(caller) }),
    ...(grounds !== undefined && { authorized_as: grounds.as, authorized_via: grounds.via }),
    ...notesOf(context),
  };
}

function errorStatus(error: unknown): { code: number; message: string } {
  if (error instanceof RpcError) return { code: error.number, message: error.message };
  return { code: grpcStatus.INTERNAL, message: 'internal error' };
}
