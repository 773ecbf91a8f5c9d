// Runs before every call: finds the caller's classes in the order of SPIRE's policy and refuses what none may do.
import { create } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Guard } from '../../daemon/grpc/server.ts';
import {
  PermissionDeniedDetailsSchema,
  type PermissionDeniedDetails_Reason as Reason,
} from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import type { VerifiedX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { Registry } from '../entry/registry.ts';
import type { Store } from '../store/store.ts';
import { activated, checkAgent } from './agent-check.ts';
import { AUTHORIZATION, isAllowed } from './authorization.ts';
import type { Caller } from './caller.ts';

/** Options of {@link createGuard}. */
export interface GuardOptions {
  readonly registry: Pick<Registry, 'node' | 'hasRole' | 'catchUp'>;
  readonly store: Pick<Store, 'updateNode'>;
  readonly now: () => number;
}

export function createGuard(options: GuardOptions): Guard<Caller> {
  return async ({ path, caller }) => {
    if (AUTHORIZATION.get(path) === undefined) throw denied(path);
    if (isAllowed(path, 'any')) return;
    if (caller.kind === 'local') {
      if (isAllowed(path, 'local')) return;
      throw denied(path);
    }
    const { svid } = caller;
    if (svid === undefined) throw denied(path);
    const current = options.now() <= svid.pathNotAfter;
    for (const role of ['admin', 'downstream'] as const) {
      if (current && isAllowed(path, role) && options.registry.hasRole(svid.id, role)) return;
    }
    if (!isAllowed(path, 'agent')) throw denied(path);
    await expectAgent(path, svid, options);
  };
}

async function expectAgent(path: string, svid: VerifiedX509Svid, options: GuardOptions): Promise<void> {
  const certificate = { serial: decimalSerial(svid.serial), notAfter: svid.pathNotAfter };
  const verdict = checkAgent(options.registry.node(svid.id), certificate, options.now());
  if (verdict === 'allow') return;
  if (verdict !== 'activate') throw denied(path, verdict);
  await options.store.updateNode(svid.id, (node) => activated(node, certificate.serial));
  await options.registry.catchUp();
  // It may have been banned, evicted or renewed again in between: what stands now decides.
  const second = checkAgent(options.registry.node(svid.id), certificate, options.now());
  if (second !== 'allow') throw denied(path, second === 'activate' ? undefined : second);
}

/** The decimal form of a hexadecimal serial number. */
export function decimalSerial(hex: string): string {
  return BigInt(`0x${hex}`).toString();
}

/** The refusal, with the reason that agents act on if there is one. */
export function denied(path: string, reason?: Reason): RpcError {
  const message = `authorization denied for method ${path}`;
  return new RpcError('PERMISSION_DENIED', message, reason === undefined ? [] : [reasonDetail(reason)]);
}

/** The detail by which an agent knows what to do next. */
export function reasonDetail(reason: Reason) {
  return {
    schema: PermissionDeniedDetailsSchema,
    message: create(PermissionDeniedDetailsSchema, { reason }),
  };
}
