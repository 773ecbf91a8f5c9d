// How old a view is at most. The longer of two clocks counts: one that was set back must not make a view younger, and
// the steady one stands still while a machine sleeps. Pure but for the clocks, which are given.

/** Clocks, in milliseconds. */
export interface Clocks {
  readonly wall: () => number;
  /** Never set, never goes back. */
  readonly steady: () => number;
}

/** A moment on both clocks. */
export interface Moment {
  readonly wall: number;
  readonly steady: number;
}

export function momentOf({ wall, steady }: Clocks): Moment {
  return { wall: wall(), steady: steady() };
}

/** Milliseconds between two moments. */
export function between(from: Moment, to: Moment): number {
  return Math.max(to.wall - from.wall, to.steady - from.steady);
}
