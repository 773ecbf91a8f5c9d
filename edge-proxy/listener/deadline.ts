// One timer a connection, moved by writing a number: setting and clearing a timer for each request costs more.

export class Deadline {
  readonly #expire: (what: string) => void;
  #at = Number.POSITIVE_INFINITY;
  #what = '';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = Number.POSITIVE_INFINITY;

  constructor(expire: (what: string) => void) {
    this.#expire = expire;
  }

  /** Expires in so many milliseconds, unless it is set again or cleared before. */
  set(milliseconds: number, what: string): void {
    this.#at = performance.now() + milliseconds;
    this.#what = what;
    if (this.#firesAt <= this.#at) return;
    clearTimeout(this.#timer);
    this.#schedule(milliseconds);
  }

  /** Does not expire until it is set again. */
  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** Ends the timer itself. */
  stop(): void {
    this.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#firesAt = Number.POSITIVE_INFINITY;
  }

  #schedule(milliseconds: number): void {
    this.#firesAt = performance.now() + milliseconds;
    this.#timer = setTimeout(() => this.#fire(), milliseconds);
  }

  #fire(): void {
    this.#firesAt = Number.POSITIVE_INFINITY;
    this.#timer = undefined;
    const left = this.#at - performance.now();
    if (left === Number.POSITIVE_INFINITY) return;
    if (left > 1) {
      this.#schedule(left);
      return;
    }
    this.#at = Number.POSITIVE_INFINITY;
    this.#expire(this.#what);
  }
}
