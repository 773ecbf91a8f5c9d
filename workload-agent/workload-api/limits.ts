// How much of the agent one user may take, so that the others are served.

/** Counts what each user has open. */
export class UserLimit {
  readonly #most: number;
  readonly #open = new Map<number, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes one; the returned function gives it back. Undefined: the user has as many as allowed. */
  take(uid: number): (() => void) | undefined {
    const count = this.#open.get(uid) ?? 0;
    if (count >= this.#most) return undefined;
    this.#open.set(uid, count + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = this.#open.get(uid)! - 1;
      if (left === 0) this.#open.delete(uid);
      else this.#open.set(uid, left);
    };
  }
}
