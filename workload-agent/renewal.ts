// When a certificate is renewed. Pure: the time and the randomness come from outside.

const JITTER = 0.1;

/**
 * The time to renew at: half of the life that is left, ten per cent either way, so that certificates which were issued
 * together are not renewed together. By the clock of this machine, whatever the issuer's backdating was.
 */
export function renewalTime(from: number, notAfter: number, random: () => number): number {
  const half = Math.max(0, notAfter - from) / 2;
  return from + half * (1 - JITTER + 2 * JITTER * random());
}

/**
 * How long to wait at most between attempts while the server does not answer: up to 48 sync intervals or eight
 * minutes, as SPIRE's agent, but never so long that a good part of a certificate's life goes by.
 */
export function retryCeiling(syncInterval: number, shortestLifetime: number): number {
  const ceiling = Math.min(48 * syncInterval, 8 * 60_000, shortestLifetime / 10);
  return Math.max(ceiling, 1_000);
}
