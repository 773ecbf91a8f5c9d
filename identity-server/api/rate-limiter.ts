// Token buckets: so much a second for each source, and what is asked for beyond that waits its turn.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';

/** Options of {@link RateLimiter}. */
export interface RateLimiterOptions {
  /** Units a second, and at once after a pause. */
  readonly perSecond: number;
  /** The longest wait, in milliseconds; who would wait longer is refused. Default 30,000. */
  readonly longestWait?: number;
  /** Milliseconds of a clock that never goes back. Default: the time since the start of the process. */
  readonly now?: () => number;
  /** Waits. Default: a timer. */
  readonly delay?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

interface Bucket {
  /** Negative: so many units are promised to those who wait. */
  tokens: number;
  filledAt: number;
}

/** How long a source is remembered that asks for nothing, twice this at most. */
const GENERATION = 60_000;

export class RateLimiter {
  readonly #options: RateLimiterOptions;
  readonly #now: () => number;
  // Two generations: what was not used in the younger one's time goes with the older.
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();
  #bornAt: number;

  constructor(options: RateLimiterOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#bornAt = this.#now();
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /**
   * Resolves when a source may go on.
   *
   * @throws RpcError RESOURCE_EXHAUSTED if it asks for more than there ever is at once, or would wait for too long;
   * whatever the signal's reason is, if it aborts meanwhile.
   */
  async wait(source: string, units: number, signal: AbortSignal): Promise<void> {
    const { perSecond, longestWait = 30_000, delay = timer } = this.#options;
    if (units > perSecond) {
      throw new RpcError('RESOURCE_EXHAUSTED', `rate (${units}) exceeds burst size (${perSecond})`);
    }
    const bucket = this.#bucket(source);
    const missing = units - bucket.tokens;
    const pause = (missing * 1_000) / perSecond;
    if (pause > longestWait) {
      throw new RpcError('RESOURCE_EXHAUSTED', 'rate limit exceeded: too many requests of this address wait');
    }
    bucket.tokens -= units;
    if (missing <= 0) return;
    try {
      await delay(Math.ceil(pause), signal);
    } catch (error) {
      // Who went away needs nothing; those behind move up with the next refill.
      bucket.tokens += units;
      throw error;
    }
  }

  #bucket(source: string): Bucket {
    const now = this.#now();
    if (now - this.#bornAt >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bornAt = now;
    }
    const { perSecond } = this.#options;
    const bucket = this.#young.get(source) ?? this.#old.get(source) ?? { tokens: perSecond, filledAt: now };
    const elapsed = now - bucket.filledAt;
    bucket.tokens = Math.min(perSecond, bucket.tokens + (elapsed * perSecond) / 1_000);
    bucket.filledAt = now;
    this.#young.set(source, bucket);
    this.#old.delete(source);
    return bucket;
  }
}

function timer(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => {
      clearTimeout(timeout);
      reject(signal.reason as Error);
    };
    const timeout = setTimeout(() => {
      signal.removeEventListener('abort', fail);
      resolve();
    }, milliseconds);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}
