// A promise that somebody else settles, or time does.

/** Something that is waited for. */
export interface Waiter {
  readonly promise: Promise<void>;
  /** Whether it has been fulfilled. */
  readonly isSettled: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

/** Rejects after `patience` milliseconds unless it was settled before. Nobody need listen. */
export function createWaiter(patience: number, message: string): Waiter {
  let isSettled = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(message)), patience);
  promise.catch(() => {}).finally(() => clearTimeout(timer));
  return {
    promise,
    get isSettled() {
      return isSettled;
    },
    resolve: () => {
      isSettled = true;
      resolve();
    },
    reject,
  };
}
