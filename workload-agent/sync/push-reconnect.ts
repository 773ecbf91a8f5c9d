// How long an agent waits before it comes back. Pure.
import type { Backoff } from '../../sdk/backoff.ts';

/** Milliseconds over which agents come back that have lost their server at once. */
export const RECONNECT_SPREAD = 2_000;

/**
 * The pause after a failure. When a stream that was live breaks, every agent of that server has lost its own in the same
 * moment: each comes back at a moment of its own within the spread.
 */
export function pauseAfterFailure(
  { isFirst, broke }: { readonly isFirst: boolean; readonly broke: boolean },
  backoff: Backoff,
  random: () => number,
): number {
  return isFirst && broke ? random() * RECONNECT_SPREAD : backoff.next();
}
