// A sync before it is due: a caller for whom no entry matches may be the first of a brand-new one, and is worth a look
// before it is refused. However many ask, the server sees one early sync an interval.

/** Options of {@link EarlySync}, in milliseconds. */
export interface EarlySyncOptions {
  /** The shortest time between two early syncs. Default 500. */
  readonly interval?: number;
  readonly now?: () => number;
}

export class EarlySync {
  readonly #interval: number;
  readonly #now: () => number;
  #waiting: (() => void)[] = [];
  #last = -Infinity;
  #wake: () => void = () => {};

  constructor(options: EarlySyncOptions = {}) {
    this.#interval = options.interval ?? 500;
    this.#now = options.now ?? Date.now;
  }

  /** Resolves after a sync that began after the call, or after `patience` milliseconds. */
  request(patience: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patience);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#wake();
    });
  }

  /** When an early sync is due, in milliseconds since 1970; Infinity if nobody asked. */
  get due(): number {
    return this.#waiting.length === 0 ? Infinity : this.#last + this.#interval;
  }

  /** Takes those who asked until now; the returned function tells them that a sync has ended. */
  begin(): () => void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.#last = this.#now();
    return () => {
      for (const tell of waiting) tell();
    };
  }

  /** Calls `wake` when somebody asks: the loop may be asleep. */
  onRequest(wake: () => void): void {
    this.#wake = wake;
  }
}
