// Bundles of foreign trust domains, item by item: created, updated, set and deleted.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { messageOf } from '../../sdk/error.ts';
import {
  BatchDeleteFederatedBundleRequest_Mode as Mode,
  type BatchDeleteFederatedBundleRequest,
} from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import type {
  Bundle as BundleMessage,
  BundleMask,
  BundleSchema,
} from '../../sdk/api/gen/spire/api/types/bundle_pb.ts';
import { parseTrustDomain, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { Bundle, DeleteBundleMode } from '../store/store.ts';
import { bundleMessage, bundleOf, mergedBundle } from './bundle-message.ts';
import { failure, OK, type Status } from './convert.ts';
import { expectBatch } from './entry-batch.ts';
import type { ServiceOptions } from './services.ts';

interface Result {
  readonly status: Status;
  readonly bundle?: MessageInitShape<typeof BundleSchema>;
}

/** What is to become of a bundle; a status refuses. */
type Write = (before: Bundle | undefined, input: Bundle) => Bundle | Status;

export const creating: Write = (before, input) =>
  before === undefined ? input : failure('ALREADY_EXISTS', 'bundle already exists');

export const setting: Write = (_before, input) => input;

export function updating(mask: BundleMask | undefined): Write {
  return (before, input) =>
    before === undefined ? failure('NOT_FOUND', 'bundle not found') : mergedBundle(before, input, mask);
}

/** Writes bundles one by one; `verb` is what is done, as in `creating a federated bundle`. */
export async function writeBundles(
  messages: readonly BundleMessage[],
  { verb, write, outputMask }: { verb: string; write: Write; outputMask: BundleMask | undefined },
  options: ServiceOptions,
): Promise<{ results: Result[] }> {
  expectBatch(messages);
  const results: Result[] = [];
  for (const message of messages) {
    results.push(await writeBundle(message, { verb, write, outputMask }, options));
  }
  await options.registry.catchUp();
  return { results };
}

async function writeBundle(
  message: BundleMessage,
  { verb, write, outputMask }: { verb: string; write: Write; outputMask: BundleMask | undefined },
  options: ServiceOptions,
): Promise<Result> {
  let input: Bundle;
  try {
    input = bundleOf(message);
    expectForeign(input.trustDomain, verb, options);
  } catch (error) {
    return { status: failure('INVALID_ARGUMENT', messageOf(error)) };
  }
  let refused: Status | undefined;
  const after = await options.store.updateBundle(input.trustDomain, (before) => {
    const written = write(before, input);
    if (!('code' in written)) return written as Bundle;
    refused = written;
    return undefined;
  });
  if (refused !== undefined) return { status: refused };
  return { status: OK, bundle: bundleMessage(after!, outputMask) };
}

const MODES: ReadonlyMap<Mode, DeleteBundleMode> = new Map([
  [Mode.RESTRICT, 'restrict'],
  [Mode.DELETE, 'delete'],
  [Mode.DISSOCIATE, 'dissociate'],
]);

export async function deleteBundles(
  { trustDomains, mode }: BatchDeleteFederatedBundleRequest,
  options: ServiceOptions,
): Promise<{ results: { status: Status; trustDomain: string }[] }> {
  expectBatch(trustDomains);
  const how = MODES.get(mode);
  if (how === undefined) throw new RpcError('INVALID_ARGUMENT', `unhandled delete mode "${Number(mode)}"`);
  const results: { status: Status; trustDomain: string }[] = [];
  for (const name of trustDomains) {
    results.push({ trustDomain: name, status: await deleteBundle(name, how, options) });
  }
  await options.registry.catchUp();
  return { results };
}

async function deleteBundle(name: string, mode: DeleteBundleMode, options: ServiceOptions): Promise<Status> {
  let trustDomain: TrustDomain;
  try {
    trustDomain = parseTrustDomain(name);
  } catch (error) {
    return failure('INVALID_ARGUMENT', `trust domain argument is not valid: ${messageOf(error)}`);
  }
  if (trustDomain === options.trustDomain) {
    return failure('INVALID_ARGUMENT', 'removing the bundle for the server trust domain is not allowed');
  }
  switch (await options.store.deleteBundle(trustDomain, mode)) {
    case 'deleted':
      return OK;
    case 'missing':
      return failure('NOT_FOUND', 'bundle not found');
    case 'referenced':
      return failure(
        'FAILED_PRECONDITION',
        'failed to delete federated bundle: cannot delete bundle; federated with registration entries: delete ' +
          'them, or use the mode DELETE or DISSOCIATE',
      );
  }
}

/** @throws Error for the own trust domain, whose bundle is never a federated one. */
export function expectForeign(
  trustDomain: TrustDomain,
  verb: string,
  options: Pick<ServiceOptions, 'trustDomain'>,
): void {
  if (trustDomain !== options.trustDomain) return;
  throw new Error(`${verb} a federated bundle for the server's own trust domain is not allowed`);
}
