// Attests a caller: every attestor at once; one that fails is logged and its selectors are missing, and only if none
// can tell, the caller is turned away.
import { selectorText, type WorkloadAttestor } from '../../attestors/workload/workload-attestor.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Logger } from '../../daemon/log.ts';
import { messageOf } from '../../sdk/error.ts';
import type { PinnedProcess } from '../peer/pinned-process.ts';
import { createOccasionalLog } from '../../daemon/occasional-log.ts';

/** Finds the selectors of a process. */
export type AttestWorkload = (process: PinnedProcess, signal: AbortSignal) => Promise<ReadonlySet<string>>;

const ATTESTATION_TIMEOUT = 10_000;

export function createWorkloadAttestation(
  attestors: readonly WorkloadAttestor[],
  log: Logger,
): AttestWorkload {
  const failures = createOccasionalLog();
  return async (process, signal) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ATTESTATION_TIMEOUT)]);
    const results = await Promise.allSettled(
      attestors.map((attestor) => orAbort(attestor.attest(process, limit), limit)),
    );
    if (signal.aborted) throw new RpcError('CANCELLED', 'the call was cancelled');
    const selectors = new Set<string>();
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') {
        for (const selector of result.value) selectors.add(selectorText(selector));
        continue;
      }
      const attestor = attestors[index]!.name;
      const reason = messageOf(result.reason);
      failures(`${attestor} ${process.uid} ${process.executable} ${reason}`, () =>
        log.warn({ attestor, caller: describeProcess(process), reason }, 'a workload attestor failed'),
      );
    }
    if (results.every(({ status }) => status === 'rejected')) {
      throw new RpcError('UNAVAILABLE', 'workload attestation failed');
    }
    return selectors;
  };
}

/** What the log says of a process. */
export function describeProcess(process: PinnedProcess): Readonly<Record<string, unknown>> {
  return { pid: process.pid, uid: process.uid, gid: process.gid, executable: process.executable };
}

// An attestor that ignores its signal must not hold the call.
function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Error('the attestation took too long'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
