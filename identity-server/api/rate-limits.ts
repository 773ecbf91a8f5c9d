// Which RPC counts against which limit, and for how much: SPIRE's table. Callers on the local socket are never limited.
import type { Caller, Context } from './caller.ts';
import { RateLimiter } from './rate-limiter.ts';

/** Units a second of one source address; 0 means no limit. */
export interface RateLimits {
  readonly attestation: number;
  /** X.509, JWT and WIT are counted apart. */
  readonly signing: number;
  readonly keyPublishing: number;
  readonly status: number;
}

/** Names of limits. */
export type LimitName = 'attest' | 'csr' | 'jsr' | 'wsr' | 'push-key' | 'post-status';

interface Limit {
  readonly name: LimitName;
  /** Default: one. */
  readonly units?: (request: unknown) => number;
}

const params = (request: unknown): number => (request as { params: readonly unknown[] }).params.length;

const SVID = '/spire.api.server.svid.v1.SVID';
const AGENT = '/spire.api.server.agent.v1.Agent';
const BUNDLE = '/spire.api.server.bundle.v1.Bundle';

/** Limits by path; what is not here has none. */
export const LIMITS: ReadonlyMap<string, Limit> = new Map<string, Limit>([
  [`${AGENT}/AttestAgent`, { name: 'attest' }],
  [`${SVID}/BatchNewX509SVID`, { name: 'csr', units: params }],
  [`${AGENT}/RenewAgent`, { name: 'csr' }],
  [`${SVID}/NewDownstreamX509CA`, { name: 'csr' }],
  [`${SVID}/NewJWTSVID`, { name: 'jsr' }],
  [`${SVID}/BatchNewWITSVID`, { name: 'wsr', units: params }],
  [`${BUNDLE}/PublishJWTAuthority`, { name: 'push-key' }],
  [`${BUNDLE}/PublishWITAuthority`, { name: 'push-key' }],
  [`${AGENT}/PostStatus`, { name: 'post-status' }],
]);

/** Waits until a call may go on. */
export type Throttle = (context: Context, request: unknown) => Promise<void> | undefined;

/** The limits of one server. */
export function createThrottle(
  rates: RateLimits,
  options: Omit<ConstructorParameters<typeof RateLimiter>[0], 'perSecond'> = {},
): Throttle {
  const limiter = (perSecond: number) =>
    perSecond === 0 ? undefined : new RateLimiter({ ...options, perSecond });
  const limiters: Readonly<Record<LimitName, RateLimiter | undefined>> = {
    attest: limiter(rates.attestation),
    csr: limiter(rates.signing),
    jsr: limiter(rates.signing),
    wsr: limiter(rates.signing),
    'push-key': limiter(rates.keyPublishing),
    'post-status': limiter(rates.status),
  };
  return ({ path, caller, signal }, request) => {
    const limit = LIMITS.get(path);
    const source = sourceOf(caller);
    if (limit === undefined || source === undefined) return undefined;
    return limiters[limit.name]?.wait(source, limit.units?.(request) ?? 1, signal);
  };
}

// One address is one source, whichever way the kernel writes it.
function sourceOf(caller: Caller): string | undefined {
  return caller.kind === 'local' ? undefined : caller.address.replace(/^::ffff:(?=\d+\.)/i, '');
}
