// Waiting, and waiting longer after each failure.

/** Options of {@link createBackoff}, in milliseconds. */
export interface BackoffOptions {
  /** The first delay. Default 100. */
  readonly initial?: number;
  /** The longest delay. Default 30,000. */
  readonly max?: number;
  /** A number in [0, 1), for jitter. Default Math.random. */
  readonly random?: () => number;
}

/** Delays that grow by half each time, each jittered by a quarter either way, so that many clients spread out. */
export interface Backoff {
  /** Milliseconds to wait now. */
  next(): number;
  /** Starts over, after a success. */
  reset(): void;
}

export function createBackoff(options: BackoffOptions = {}): Backoff {
  const { initial = 100, max = 30_000, random = Math.random } = options;
  let current = initial;
  return {
    next() {
      const delay = current * (0.75 + random() / 2);
      current = Math.min(max, current * 1.5);
      return delay;
    },
    reset() {
      current = initial;
    },
  };
}

/** Waits; ends early (without throwing) when the signal aborts. */
export function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener('abort', done, { once: true });
  });
}
