// When a signing certificate is prepared, takes over and is forgotten: pure arithmetic over times (SPIRE's thresholds).

/** What the schedule looks at. Times are milliseconds. */
export interface Validity {
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** What is to be done now. */
export type Step = 'prepare' | 'activate' | 'none';

const DAY = 86_400_000;
const MOST_PREPARED_AHEAD = 30 * DAY;
const MOST_ACTIVATED_AHEAD = 7 * DAY;
const KEPT_AFTER_EXPIRY = DAY;

/**
 * The next step. A certificate is prepared at half of the active one's life, so that every agent has it in its bundle
 * long before the first SVID is signed by it, and takes over when a sixth remains.
 */
export function nextStep(active: Validity | undefined, next: Validity | undefined, now: number): Step {
  const usable = next !== undefined && remaining(next, now) >= activationMargin(next);
  if (active === undefined) return usable ? 'activate' : 'prepare';
  if (remaining(active, now) < activationMargin(active)) return usable ? 'activate' : 'prepare';
  if (remaining(active, now) < preparationMargin(active)) return usable ? 'none' : 'prepare';
  return 'none';
}

/** Whether an authority that signs no more can leave the bundle: nothing that it signed is valid any more. */
export function isPrunable({ notAfter }: Pick<Validity, 'notAfter'>, now: number): boolean {
  return now > notAfter + KEPT_AFTER_EXPIRY;
}

function remaining(validity: Validity, now: number): number {
  return validity.notAfter - now;
}

function lifetime(validity: Validity): number {
  return validity.notAfter - validity.issuedAt;
}

function preparationMargin(validity: Validity): number {
  return Math.min(lifetime(validity) / 2, MOST_PREPARED_AHEAD);
}

function activationMargin(validity: Validity): number {
  return Math.min(lifetime(validity) / 6, MOST_ACTIVATED_AHEAD);
}
