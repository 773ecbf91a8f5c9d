// A call of a workload whose entry is brand new waits a little for the SVID and does not fail first.
import type { WorkloadView } from '../svid-cache/workload-view.ts';

/**
 * Passes views on, but holds the first ones back while SVIDs are still to come, for `patience` milliseconds at most.
 */
export async function* firstComplete(
  views: AsyncGenerator<WorkloadView, void, undefined>,
  patience: number,
): AsyncGenerator<WorkloadView, void, undefined> {
  const deadline = performance.now() + patience;
  try {
    let result = await views.next();
    while (result.done !== true && !isComplete(result.value)) {
      const next = views.next();
      const better = await within(next, deadline - performance.now());
      if (better === undefined) {
        yield result.value;
        result = await next;
        break;
      }
      result = better;
    }
    while (result.done !== true) {
      yield result.value;
      result = await views.next();
    }
  } finally {
    // Not awaited: it would wait for a next() that is under way, which ends with the signal of the call.
    void views.return().catch(() => {});
  }
}

function isComplete(view: WorkloadView): boolean {
  return view.entitled === 0 || (view.identities.length === view.entitled && view.bundles !== undefined);
}

function within<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), Math.max(0, milliseconds));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
