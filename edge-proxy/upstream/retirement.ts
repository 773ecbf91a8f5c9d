// When a pooled connection is taken out of use: before the earlier of the two SVIDs ends, so that no request is in
// flight when the other side closes at that moment.
import type { Peer, TlsMaterial } from '../transport/socket.ts';

/** What the moment depends on. Times are milliseconds since 1970. */
export interface Retirement {
  readonly peer: Peer | undefined;
  readonly material: TlsMaterial | undefined;
  readonly now: number;
  /** In [0, 1): spreads many connections of one age. */
  readonly random: number;
}

const MAX_MARGIN = 30_000;

/** Milliseconds since 1970: a tenth to a fifth of the time that is left, at most 30 to 60 seconds, before the end. */
export function retireAt({ peer, material, now, random }: Retirement): number {
  const end = Math.min(
    peer?.pathNotAfter ?? Number.POSITIVE_INFINITY,
    material?.notAfter ?? Number.POSITIVE_INFINITY,
  );
  if (end === Number.POSITIVE_INFINITY) return end;
  const margin = Math.min((end - now) / 10, MAX_MARGIN);
  return end - margin * (1 + random);
}
