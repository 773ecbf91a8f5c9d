// The SPIFFE Workload API, X.509 profile. Each call reads top-down: header, readiness, attestation, identities; and
// before every message the caller is looked at again.
import type { CallContext, Handlers } from '../../daemon/grpc/server.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Logger } from '../../daemon/log.ts';
import type { SpiffeWorkloadAPI } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import type { SvidCache } from '../svid-cache/svid-cache.ts';
import { sameBundles, type WorkloadView } from '../svid-cache/workload-view.ts';
import { describeProcess, type AttestWorkload } from './attestation.ts';
import type { WorkloadCaller } from './listener.ts';
import { UserLimit } from './limits.ts';
import { createOccasionalLog } from '../../daemon/occasional-log.ts';
import { x509BundlesResponse, x509SvidResponse } from './responses.ts';
import { firstComplete } from './first-complete.ts';

/** Options of {@link createWorkloadApi}. */
export interface WorkloadApiOptions {
  readonly cache: SvidCache;
  readonly attest: AttestWorkload;
  readonly log: Logger;
  /** Asks the server again before a caller without an entry is refused. Default: refuse at once. */
  readonly lookAgain?: () => Promise<void>;
  /** Streams that one user may have open. Default 4,096. */
  readonly streamsPerUser?: number;
  /** How long a call waits for the SVID of a brand-new entry, in milliseconds. Default 5,000. */
  readonly patience?: number;
}

type Call = CallContext<WorkloadCaller>;

export function createWorkloadApi(
  options: WorkloadApiOptions,
): Handlers<typeof SpiffeWorkloadAPI, WorkloadCaller> {
  const { cache, log } = options;
  const refusals = createOccasionalLog();
  const streams = new UserLimit(options.streamsPerUser ?? 4_096);
  const patience = options.patience ?? 5_000;

  async function* views(call: Call): AsyncGenerator<WorkloadView, void, undefined> {
    const { process } = call.caller;
    const release = streams.take(process.uid);
    if (release === undefined)
      throw new RpcError('RESOURCE_EXHAUSTED', 'this user has too many streams open');
    try {
      expectReady();
      const selectors = await options.attest(process, call.signal);
      expectReady();
      // A brand-new entry that the next sync would bring must not fail its first caller.
      if (cache.view(selectors).entitled === 0) await options.lookAgain?.();
      for await (const view of firstComplete(cache.watch(selectors, call.signal), patience)) {
        expectReady();
        if (view.entitled === 0) throw refuse(call, selectors);
        expectUnchanged(call.caller);
        if (view.bundles !== undefined) yield view;
      }
    } finally {
      release();
    }
  }

  function expectReady(): void {
    if (cache.ready) return;
    throw new RpcError(
      'UNAVAILABLE',
      'the agent is not ready: it has not reached its server yet, or was turned away by it; its log says which',
    );
  }

  // The caller that was attested must be the one that gets the answer (WE-11).
  function expectUnchanged(caller: WorkloadCaller): void {
    const change = caller.process.change();
    if (change === undefined) return;
    log.warn({ caller: describeProcess(caller.process), reason: change }, 'refused a caller that changed');
    caller.disconnect();
    throw new RpcError('PERMISSION_DENIED', 'the caller is not the process that connected: connect again');
  }

  function refuse(call: Call, selectors: ReadonlySet<string>): RpcError {
    const { process } = call.caller;
    const seen = [...selectors];
    refusals(`${process.uid} ${process.executable} ${seen.join()}`, () =>
      log.warn(
        { caller: describeProcess(process), selectors: seen, path: call.path },
        'no identity issued: no entry has only selectors that this process has',
      ),
    );
    return new RpcError('PERMISSION_DENIED', 'no identity issued');
  }

  return {
    async *fetchX509SVID(_request, call) {
      for await (const view of views(call)) {
        // Entries without a single valid SVID: the server cannot be reached, or is slow.
        if (view.identities.length === 0)
          throw new RpcError('UNAVAILABLE', 'the identity has no valid SVID yet');
        yield x509SvidResponse(view);
      }
    },
    async *fetchX509Bundles(_request, call) {
      let last: WorkloadView | undefined;
      for await (const view of views(call)) {
        if (last !== undefined && sameBundles(last, view)) continue;
        last = view;
        yield x509BundlesResponse(view);
      }
    },
    // Named here and not left out, so that the security header is looked at first (WAPI-60).
    fetchJWTSVID: unimplemented,
    fetchJWTBundles: unimplementedStream,
    validateJWTSVID: unimplemented,
    fetchWITSVID: unimplementedStream,
    fetchWITBundles: unimplementedStream,
  };
}

async function unimplemented(): Promise<never> {
  throw new RpcError('UNIMPLEMENTED', 'this agent does not serve this profile');
}

// oxlint-disable-next-line require-yield
async function* unimplementedStream(): AsyncGenerator<never, void, undefined> {
  await unimplemented();
}
