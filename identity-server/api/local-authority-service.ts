// The LocalAuthority service: an operator moves the server's authorities by hand. What may be done when, `ca/slots.ts`
// decides.
import { RpcError, type RpcCode } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { LocalAuthority } from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { messageOf } from '../../sdk/error.ts';
import type { AuthoritySlots } from '../ca/authority-slots.ts';
import { AuthorityError } from '../ca/slots.ts';
import type { AuthorityRecord } from '../store/store.ts';
import type { Caller } from './caller.ts';
import type { ServiceOptions } from './services.ts';
import { expectJwt, expectWit } from './token-svids.ts';

interface State {
  readonly authorityId: string;
  readonly expiresAt: bigint;
}
interface ById {
  readonly authorityId: string;
}

export function localAuthorityService(options: ServiceOptions): Handlers<typeof LocalAuthority, Caller> {
  const { ca } = options;
  const x509 = operations('X.509', () => ca.x509, options);
  const jwt = operations('JWT', () => (expectJwt(ca), ca.jwt!), options);
  const wit = operations('WIT', () => (expectWit(ca), ca.wit!), options);
  return {
    getX509AuthorityState: x509.state,
    prepareX509Authority: x509.prepare,
    activateX509Authority: x509.activate,
    taintX509Authority: x509.taint,
    revokeX509Authority: x509.revoke,
    taintX509UpstreamAuthority: noUpstream,
    revokeX509UpstreamAuthority: noUpstream,
    getJWTAuthorityState: jwt.state,
    prepareJWTAuthority: jwt.prepare,
    activateJWTAuthority: jwt.activate,
    taintJWTAuthority: jwt.taint,
    revokeJWTAuthority: jwt.revoke,
    getWITAuthorityState: wit.state,
    prepareWITAuthority: wit.prepare,
    activateWITAuthority: wit.activate,
    taintWITAuthority: wit.taint,
    revokeWITAuthority: wit.revoke,
  };
}

async function noUpstream(): Promise<never> {
  throw new RpcError('FAILED_PRECONDITION', 'upstream authority is not configured');
}

// The five operations, which are the same for each kind.
function operations(
  name: string,
  slots: () => AuthoritySlots<unknown>,
  { registry }: Pick<ServiceOptions, 'registry'>,
) {
  const doing = async (
    verb: string,
    what: (slots: AuthoritySlots<unknown>) => Promise<AuthorityRecord>,
  ): Promise<State> => {
    const own = slots();
    try {
      const record = await what(own);
      await registry.catchUp();
      return stateOf(record);
    } catch (error) {
      throw rpcErrorOf(error, `failed to ${verb} ${name} authority`);
    }
  };
  return {
    state: async () => {
      const { active, other } = slots().slots;
      if (active === undefined) throw new RpcError('UNAVAILABLE', 'server is initializing');
      const state = other && stateOf(other);
      return {
        active: stateOf(active),
        prepared: other?.status === 'prepared' ? state : undefined,
        old: other?.status === 'old' ? state : undefined,
      };
    },
    prepare: async () => ({ preparedAuthority: await doing('prepare', (own) => own.prepare()) }),
    activate: async ({ authorityId }: ById) => ({
      activatedAuthority: await doing('activate', (own) => own.activate(authorityId)),
    }),
    taint: async ({ authorityId }: ById) => ({
      taintedAuthority: await doing('taint', (own) => own.taint(authorityId)),
    }),
    revoke: async ({ authorityId }: ById) => ({
      revokedAuthority: await doing('revoke', (own) => own.revoke(authorityId)),
    }),
  };
}

function stateOf({ id, notAfter }: AuthorityRecord): State {
  return { authorityId: id, expiresAt: BigInt(Math.floor(notAfter / 1_000)) };
}

const CODES: Readonly<Record<AuthorityError['reason'], RpcCode>> = {
  argument: 'INVALID_ARGUMENT',
  state: 'INTERNAL',
  uninitialized: 'UNAVAILABLE',
};

// An operator reads this, on the local socket or as an administrator: the cause helps more than it tells.
function rpcErrorOf(error: unknown, what: string): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof AuthorityError) return new RpcError(CODES[error.reason], error.message);
  return new RpcError('INTERNAL', `${what}: ${messageOf(error)}`);
}
