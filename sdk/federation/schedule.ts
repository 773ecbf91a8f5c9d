// When to poll a bundle endpoint again (Federation 5.2.4, Trust Domain and Bundle 4.1.2). Pure.

/** The pause between polls of an endpoint that gives no hint, in seconds: about five minutes (TB-16). */
export const DEFAULT_REFRESH_SECONDS = 300;

/** Bounds on what a foreign trust domain may ask for, in seconds. */
export interface RefreshBounds {
  /** Default 60: a hint of zero must not turn polling into a flood. */
  readonly min?: number;
  /** Default 86,400: a huge hint must not keep a withdrawn key trusted for weeks. */
  readonly max?: number;
}

/**
 * Milliseconds until the next poll. The hint is advice (Trust Domain and Bundle 4.1.2) and is clamped.
 *
 * @param hint `refreshHint` of the bundle, in seconds.
 * @throws TypeError if the bounds are no positive numbers, or crossed.
 */
export function nextRefresh(hint: number | undefined, bounds: RefreshBounds = {}): number {
  const { min = 60, max = 86_400 } = bounds;
  if (!(min > 0 && min <= max && max <= 2_000_000)) {
    throw new TypeError('refresh bounds are seconds, 0 < min <= max <= 2,000,000');
  }
  const wanted = hint === undefined || Number.isNaN(hint) ? DEFAULT_REFRESH_SECONDS : hint;
  return Math.round(Math.min(max, Math.max(min, wanted)) * 1_000);
}
