// Says a thing once, and again only after a while: a caller that retries must not fill the log.

/** Runs `say` unless the same cause was said a short while ago. */
export type OccasionalLog = (cause: string, say: () => void) => void;

/** Options of {@link createOccasionalLog}. */
export interface OccasionalLogOptions {
  /** Milliseconds. Default 60,000. */
  readonly interval?: number;
  /** Causes that are remembered; beyond that nothing new is said until some are forgotten. Default 1,000. */
  readonly most?: number;
  readonly now?: () => number;
}

export function createOccasionalLog(options: OccasionalLogOptions = {}): OccasionalLog {
  const { interval = 60_000, most = 1_000, now = Date.now } = options;
  // In order of time, so that the oldest come first.
  const said = new Map<string, number>();
  return (cause, say) => {
    const time = now();
    for (const [old, at] of said) {
      if (time - at < interval) break;
      said.delete(old);
    }
    if (said.has(cause) || said.size >= most) return;
    said.set(cause, time);
    say();
  };
}
