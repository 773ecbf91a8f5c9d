// Updates as bytes. In protobuf, messages that follow one another are one message: so what changed is serialised once,
// in parts, and each agent's message is those parts that concern it.
import { Buffer } from 'node:buffer';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { WatchResponseSchema, type WatchResponse } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { withEncoding } from '../../sdk/grpc/encoded.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { bundleMessage } from '../api/bundle-message.ts';
import { entryMessage } from '../api/entry-message.ts';
import type { Bundle, Entry, Position } from '../store/store.ts';
import type { Denial } from './denials.ts';

/** A part of a message. */
export type Part = Uint8Array;

/**
 * Far below the 4 MiB that a plain gRPC client takes: others get their turn between two, and who does not read holds
 * some twenty of them.
 */
export const MESSAGE_BYTES = 64 * 1024;

function part(fields: MessageInitShape<typeof WatchResponseSchema>): Part {
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, fields));
}

/** An entry as it is now, or that the agent has it no more. */
export function entryPart(id: string, entry: Entry | undefined): Part {
  return entry === undefined
    ? part({ removedEntryIds: [id] })
    : part({ entries: [entryMessage(entry, undefined)] });
}

/** A bundle as it is now, or that there is none any more. */
export function bundlePart(trustDomain: TrustDomain, bundle: Bundle | undefined): Part {
  return bundle === undefined
    ? part({ removedTrustDomains: [trustDomain] })
    : part({ bundles: [bundleMessage(bundle, undefined)] });
}

export function denialPart({ id, serial, expiresAt }: Denial, isLifted: boolean): Part {
  const denial = { spiffeId: id, serialNumber: serial, expiresAt: BigInt(expiresAt) };
  return part(isLifted ? { liftedDenials: [denial] } : { denials: [denial] });
}

/** The end of an update. */
export function endPart({ epoch, revision }: Position, digest?: Uint8Array): Part {
  return part({ position: { epoch, revision: BigInt(revision) }, entriesDigest: digest });
}

const MORE = part({ more: true });
/** The beginning of an update that begins anew. */
export const SNAPSHOT = part({ snapshot: true });

/** One message. */
export function messageOf(...parts: readonly Part[]): WatchResponse {
  return withEncoding(create(WatchResponseSchema), Buffer.concat(parts));
}

/** Parts as messages of bounded size, made as they are asked for; `end` goes into the last. */
export function* messagesOf(
  parts: Iterable<Part>,
  end: Part,
  limit = MESSAGE_BYTES,
): Generator<WatchResponse, void, undefined> {
  let held: Part[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (bytes > 0 && bytes + part.length > limit) {
      yield messageOf(...held, MORE);
      held = [];
      bytes = 0;
    }
    held.push(part);
    bytes += part.length;
  }
  // The largest entry that a request can bring fills a message alone.
  if (bytes > limit) {
    yield messageOf(...held, MORE);
    held = [];
  }
  yield messageOf(...held, end);
}
