// The Sync service: an agent names where it stands, is brought to the present, and is told each change as it happens.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Sync, WatchRequest, WatchResponse } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import type { Caller, Context } from '../api/caller.ts';
import type { Position } from '../store/store.ts';
import type { PushHub } from './hub.ts';

export function syncService(hub: PushHub): Handlers<typeof Sync, Caller> {
  return { watch: (request, context) => watch(request, context, hub) };
}

async function* watch(
  { position }: WatchRequest,
  { caller, path, signal }: Context,
  hub: PushHub,
): AsyncGenerator<WatchResponse, void, undefined> {
  if (caller.kind !== 'tls' || caller.svid === undefined) {
    throw new RpcError('INTERNAL', 'caller ID missing from request context');
  }
  // From here on nothing is missed: what changes while the past is looked up waits in the subscriber.
  using subscriber = hub.open(caller.svid, path);
  const changed = position && (await hub.changedSince(positionOf(position)));
  let messages = changed === undefined ? subscriber.snapshot() : subscriber.resume(changed);
  while (!signal.aborted) {
    for (const message of messages) {
      // Who does not read is not let read on once he may not.
      subscriber.expectOpen();
      yield message;
    }
    await subscriber.ready(signal);
    messages = subscriber.next();
  }
}

function positionOf({ epoch, revision }: { epoch: string; revision: bigint }): Position {
  return { epoch, revision: revision > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(revision) };
}
