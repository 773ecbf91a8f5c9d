// Remembers proofs of possession until they expire, in this process, within a bound.
import type { ReplayGuard } from './proof-of-possession.ts';

/**
 * A guard that holds at most `max` proofs (default 100,000) and forgets the oldest beyond that: a flood of valid proofs
 * then shortens its memory, and never its answer time.
 */
export function createReplayGuard(max = 100_000): ReplayGuard {
  const known = new Map<string, number>();
  return {
    isFirstUse(proof, until, now) {
      const before = known.get(proof);
      if (before !== undefined && before > now) return false;
      known.delete(proof);
      known.set(proof, until);
      // In the order of insertion: drop what has expired, and what is too much.
      for (const [oldest, end] of known) {
        if (end > now && known.size <= max) break;
        known.delete(oldest);
      }
      return true;
    },
  };
}
