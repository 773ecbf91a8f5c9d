// Why the server turned this agent away: SPIRE's servers say it in the details of PERMISSION_DENIED.
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { status, type Metadata } from '@grpc/grpc-js';
import type { Buffer } from 'node:buffer';
import { StatusSchema } from '../../sdk/api/gen/google/rpc/status_pb.ts';
import {
  PermissionDeniedDetails_Reason as Reason,
  PermissionDeniedDetailsSchema,
} from '../../sdk/api/gen/spire/api/types/status_pb.ts';

/** What a denial asks of the agent. */
export type Denial =
  /** Somebody banned it: what it holds for workloads is withdrawn. */
  | 'banned'
  /** The server does not know it any more (evicted): the same. */
  | 'unknown-to-server'
  /** Its SVID is not current any more: it has to attest again, and goes on serving meanwhile. */
  | 'must-attest-again';

/** The denial in an RPC error; undefined if the error is another. */
export function denialOf(error: unknown): Denial | undefined {
  const { code, metadata } = error as { code?: unknown; metadata?: Metadata };
  if (code !== status.PERMISSION_DENIED || metadata === undefined) return undefined;
  for (const value of metadata.get('grpc-status-details-bin')) {
    const reason = reasonIn(value as Buffer);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function reasonIn(bytes: Uint8Array): Denial | undefined {
  try {
    for (const detail of fromBinary(StatusSchema, bytes).details) {
      switch (anyUnpack(detail, PermissionDeniedDetailsSchema)?.reason) {
        case Reason.AGENT_BANNED:
          return 'banned';
        case Reason.AGENT_NOT_ATTESTED:
          return 'unknown-to-server';
        case Reason.AGENT_EXPIRED:
        case Reason.AGENT_NOT_ACTIVE:
        case Reason.AGENT_MUST_REATTEST:
          return 'must-attest-again';
        case Reason.UNKNOWN:
        case undefined:
      }
    }
  } catch {
    // Not a message that we know.
  }
  return undefined;
}
