// Runs before every call: finds the caller's classes in the order of SPIRE's policy and refuses what none may do.
import { create } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Guard } from '../../daemon/grpc/server.ts';
import {
  PermissionDeniedDetailsSchema,
  type PermissionDeniedDetails_Reason as Reason,
} from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import { trustDomainOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import type { VerifiedX509Svid } from '../../sdk/x509-svid/verify.ts';
import { noteScope } from '../administration/scope-of-call.ts';
import type { Scope } from '../administration/scope.ts';
import type { Registry } from '../entry/registry.ts';
import { StoreUnavailableError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import { activated, checkAgent } from './agent-check.ts';
import { AUTHORIZATION, type CallerClass } from './authorization.ts';
import { noteAuthorization, type Authorization, type Caller } from './caller.ts';

/** Options of {@link createGuard}. */
export interface GuardOptions {
  readonly registry: Pick<Registry, 'node' | 'hasRole' | 'catchUp' | 'bundles' | 'expectFresh' | 'isCutOff'>;
  readonly store: Pick<Store, 'updateNode'>;
  /** IDs that are administrators by configuration. */
  readonly adminIds: ReadonlySet<SpiffeId>;
  /** Administrators with limits; these hold whatever an entry says. */
  readonly scopes?: ReadonlyMap<SpiffeId, Scope>;
  readonly now: () => number;
}

export function createGuard(options: GuardOptions): Guard<Caller> {
  return async (context) => {
    const { path, caller } = context;
    const allowed = AUTHORIZATION.get(path);
    if (allowed === undefined) throw denied(path);
    if (allowed.includes('any')) return;
    if (caller.kind === 'local') {
      if (!allowed.includes('local')) throw denied(path);
      noteAuthorization(context, { as: 'local', via: 'transport' });
      return;
    }
    // Services for the local socket alone do not exist elsewhere, not even for administrators.
    if (allowed.length === 1 && allowed[0] === 'local') {
      throw new RpcError('UNIMPLEMENTED', `unknown service ${path.split('/')[1]}`);
    }
    if (caller.svid === undefined) throw denied(path);
    const grounds = await groundsOf(path, caller.svid, allowed, options);
    noteAuthorization(context, grounds);
    const scope = grounds.as === 'admin' ? options.scopes?.get(caller.svid.id) : undefined;
    if (scope !== undefined) noteScope(context, scope);
  };
}

async function groundsOf(
  path: string,
  svid: VerifiedX509Svid,
  allowed: readonly CallerClass[],
  options: GuardOptions,
): Promise<Authorization> {
  const { registry, adminIds, now } = options;
  // Who is banned, evicted or not trusted any more is known from memory: not from a memory that is too old.
  registry.expectFresh();
  // A connection may outlive what it was opened with: the SVID, and the trust in who signed it.
  if (!registry.bundles.isTrusted(trustDomainOf(svid.id), svid.authority)) {
    throw new RpcError(
      'UNAUTHENTICATED',
      'the authority that signed the client certificate is not trusted any more',
    );
  }
  if (now() <= svid.pathNotAfter) {
    const scope = options.scopes?.get(svid.id);
    const isAdmin = scope === undefined ? adminIds.has(svid.id) : scope.allowsRpc(path);
    if (allowed.includes('admin') && isAdmin) return { as: 'admin', via: 'config' };
    for (const role of ['admin', 'downstream'] as const) {
      if (role === 'admin' && scope !== undefined) continue;
      if (allowed.includes(role) && registry.hasRole(svid.id, role)) return { as: role, via: 'entries' };
    }
  }
  if (!allowed.includes('agent')) throw denied(path);
  await expectAgent(path, svid, options);
  return { as: 'agent', via: 'datastore' };
}

async function expectAgent(path: string, svid: VerifiedX509Svid, options: GuardOptions): Promise<void> {
  const certificate = { serial: decimalSerial(svid.serial), notAfter: svid.pathNotAfter };
  const verdict = checkAgent(options.registry.node(svid.id), certificate, options.now());
  if (verdict === 'allow') return;
  if (verdict !== 'activate') throw denied(path, verdict);
  // It is the agent's own, and good; that it takes the place of the one before can wait until the database is back.
  if (options.registry.isCutOff) return;
  try {
    await options.store.updateNode(svid.id, (node) => activated(node, certificate.serial));
    await options.registry.catchUp();
  } catch (error) {
    if (error instanceof StoreUnavailableError) return;
    throw error;
  }
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
