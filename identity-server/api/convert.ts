// Between the wire's messages and plain data: IDs, selectors, statuses.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { status as grpcStatus } from '@grpc/grpc-js';
import { RpcError, type RpcCode } from '../../daemon/grpc/rpc-error.ts';
import { messageOf } from '../../sdk/error.ts';
import type { SPIFFEID, SPIFFEIDSchema } from '../../sdk/api/gen/spire/api/types/spiffeid_pb.ts';
import type { StatusSchema } from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import type { SelectorMatch } from '../../sdk/api/gen/spire/api/types/selector_pb.ts';
import type { X509SVIDSchema } from '../../sdk/api/gen/spire/api/types/x509svid_pb.ts';
import {
  isMemberOf,
  parseTrustDomain,
  pathOf,
  spiffeIdOf,
  trustDomainOf,
  type SpiffeId,
  type TrustDomain,
} from '../../sdk/spiffe-id.ts';
import type { SignedX509Svid } from '../ca/certificate-authority.ts';
import type { SetFilter, SetMatch } from '../entry/filter.ts';
import { selectorKey } from '../entry/similarity.ts';
import { validateSelector } from '../entry/validate.ts';

export type Status = MessageInitShape<typeof StatusSchema>;

/** The status of an item that went well. */
export const OK: Status = { code: grpcStatus.OK, message: 'OK' };

/** The status of an item that failed. */
export function failure(code: RpcCode, message: string): Status {
  return { code: grpcStatus[code], message };
}

export function idMessage(id: SpiffeId): MessageInitShape<typeof SPIFFEIDSchema> {
  return { trustDomain: trustDomainOf(id), path: pathOf(id) };
}

export function svidMessage(svid: SignedX509Svid): MessageInitShape<typeof X509SVIDSchema> {
  return { certChain: [...svid.chain], id: idMessage(svid.id), expiresAt: BigInt(svid.notAfter) };
}

/**
 * Reads an ID.
 *
 * @throws Error or SpiffeError with what is wrong.
 */
export function idOf(message: SPIFFEID | undefined): SpiffeId {
  if (message === undefined) throw new Error('request must specify SPIFFE ID');
  return spiffeIdOf(parseTrustDomain(message.trustDomain), message.path);
}

/** Reads an ID that must lie in the server's trust domain. */
export function memberIdOf(message: SPIFFEID | undefined, trustDomain: TrustDomain): SpiffeId {
  const id = idOf(message);
  if (isMemberOf(id, trustDomain)) return id;
  throw new Error(`${JSON.stringify(id)} is not a member of trust domain ${JSON.stringify(trustDomain)}`);
}

// The numbers of MatchBehavior, which SelectorMatch and FederatesWithMatch share.
const MATCHES: readonly SetMatch[] = ['exact', 'subset', 'superset', 'any'];

export function matchOf(behavior: number): SetMatch {
  const match = MATCHES[behavior];
  if (match === undefined) throw new Error(`unsupported match behavior ${behavior}`);
  return match;
}

export function selectorFilterOf(message: SelectorMatch | undefined): SetFilter | undefined {
  if (message === undefined) return undefined;
  if (message.selectors.length === 0) throw new Error('empty selector set');
  for (const selector of message.selectors) validateSelector(selector);
  return { values: new Set(message.selectors.map(selectorKey)), match: matchOf(message.match) };
}

/** Runs a reader of one field and names the field, if one is given, in what it throws. */
export function reading<T>(what: string | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RpcError) throw error;
    throw new RpcError('INVALID_ARGUMENT', `${what === undefined ? '' : `${what}: `}${messageOf(error)}`);
  }
}

/** Reads the ID of a workload of the server's trust domain: with a path, and not one that servers and agents have. */
export function workloadIdOf(message: SPIFFEID | undefined, trustDomain: TrustDomain): SpiffeId {
  const id = memberIdOf(message, trustDomain);
  expectWorkload(id, trustDomain);
  return id;
}

/** @throws Error for an ID that no workload can have. */
export function expectWorkload(id: SpiffeId, trustDomain: TrustDomain): void {
  const path = pathOf(id);
  const why =
    path === ''
      ? 'path is empty'
      : path === '/spire' || path.startsWith('/spire/')
        ? 'path is in the reserved namespace'
        : undefined;
  if (why === undefined) return;
  throw new Error(
    `${JSON.stringify(id)} is not a workload in trust domain ${JSON.stringify(trustDomain)}; ${why}`,
  );
}

/** The latest time, in seconds, that X.509 and people can write: the end of the year 9999. */
export const MAX_SECONDS = 253_402_300_799n;

/** Seconds since 1970. */
export function secondsOf(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000);
}
