// Who wants to know of changes: listeners that are called, and loops that ask.

/** A set of listeners to one thing that changes. */
export class Listeners {
  readonly #listeners = new Set<() => void>();
  readonly #loops = new Set<() => void>();
  #closed = false;

  /** @param signal Ends all loops when it aborts. */
  constructor(signal?: AbortSignal) {
    if (signal?.aborted) this.#closed = true;
    signal?.addEventListener('abort', () => this.close(), { once: true });
  }

  /** Calls `listener` after every change; the returned function ends that. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells everyone. */
  tell(): void {
    for (const listener of this.#listeners) listener();
    for (const changed of this.#loops) changed();
  }

  /** Ends all loops. Listeners are not called: nothing changed. */
  close(): void {
    this.#closed = true;
    for (const changed of this.#loops) changed();
  }

  /**
   * What `read` gives now, and again after every change, until the signal aborts or the source is closed. A slow loop
   * misses what came between, never the latest.
   */
  async *follow<T>(read: () => T, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
    let changed = true;
    let wake = () => {};
    const onChange = () => {
      changed = true;
      wake();
    };
    this.#loops.add(onChange);
    const stop = () => wake();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const ended = () => this.#closed || signal?.aborted === true;
      while (!ended()) {
        if (changed) {
          changed = false;
          yield read();
          continue;
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#loops.delete(onChange);
      signal?.removeEventListener('abort', stop);
    }
  }
}
