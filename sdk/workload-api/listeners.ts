// Who wants to know of changes: listeners that are called, and loops that ask.

/** A set of listeners to one thing that changes. */
export class Listeners {
  readonly #listeners = new Set<() => void>();
  #closed = false;

  /** Calls `listener` after every change; the returned function ends that. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells everyone. */
  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Ends all loops. */
  close(): void {
    this.#closed = true;
    this.tell();
  }

  /**
   * What `read` gives now, and again after every change, until the signal aborts or the source is closed. A slow loop
   * misses what came between, never the latest.
   */
  async *follow<T>(read: () => T, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
    let changed = true;
    let wake = () => {};
    const remove = this.add(() => {
      changed = true;
      wake();
    });
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
      remove();
      signal?.removeEventListener('abort', stop);
    }
  }
}
