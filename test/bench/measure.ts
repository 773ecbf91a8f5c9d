// Measures two ways of spending a core side by side: rounds of each in turn, so that whatever else the machine does falls on
// both, and the median of the rounds with their range.

import { getHeapStatistics } from 'node:v8';

/** One figure, a line of JSON. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is measured against, in the same run. */
  readonly against?: string;
  readonly limit?: number;
  readonly ratio?: number;
  /** The smallest and the largest ratio of a round. */
  readonly range?: readonly [number, number];
  readonly target: number;
  readonly met: boolean;
  /** Heap and buffer bytes that one operation allocates; undefined where the runtime cannot say. */
  readonly bytesPerOperation?: number;
}

type Work = () => unknown;

const ROUNDS = 11;
const ROUND_MS = 150;
const BATCH = 32;

/** How often `work` against `limit` can be done in a second: the median ratio of the rounds must reach `target`. */
export async function compare(
  name: string,
  work: Work,
  against: string,
  limit: Work,
  target: number,
): Promise<Figure> {
  await rateOf(work);
  await rateOf(limit);
  const rounds: { readonly value: number; readonly limit: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push({ value: await rateOf(work), limit: await rateOf(limit) });
  }
  const ratios = rounds.map((round) => round.value / round.limit).sort((left, right) => left - right);
  const ratio = medianOf(ratios);
  return {
    name,
    value: Math.round(medianOf(rounds.map((round) => round.value))),
    unit: 'operations/s',
    against,
    limit: Math.round(medianOf(rounds.map((round) => round.limit))),
    ratio: rounded(ratio),
    range: [rounded(ratios[0]!), rounded(ratios.at(-1)!)],
    target,
    met: ratio >= target,
    bytesPerOperation: await bytesOf(work),
  };
}

/** How often `work` can be done in a second: the median of the rounds must reach `target`. */
export async function absolute(name: string, work: Work, target: number, perCall = 1): Promise<Figure> {
  await rateOf(work);
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) rates.push((await rateOf(work)) * perCall);
  const value = Math.round(medianOf(rates));
  const bytes = await bytesOf(work);
  return {
    name,
    value,
    unit: 'operations/s',
    target,
    met: value >= target,
    bytesPerOperation: bytes === undefined ? undefined : Math.round(bytes / perCall),
  };
}

// Asynchronous work is awaited one after the other, as a caller would.
async function rateOf(work: Work): Promise<number> {
  const started = performance.now();
  let done = 0;
  let elapsed = 0;
  do {
    for (let index = 0; index < BATCH; index++) {
      const result = work();
      if (result instanceof Promise) await result;
    }
    done += BATCH;
    elapsed = performance.now() - started;
  } while (elapsed < ROUND_MS);
  return (done / elapsed) * 1_000;
}

// What V8 counts as allocated on its heap, whether or not it was collected since, and what the memory of buffers grew by
// (--expose-gc and a large young generation, so that nothing is collected in between). Undefined elsewhere.
async function bytesOf(work: Work): Promise<number | undefined> {
  const { gc } = globalThis as { readonly gc?: () => void };
  if (gc === undefined || allocated() === undefined) return undefined;
  const operations = 200;
  const samples: number[] = [];
  for (let round = 0; round < 7; round++) {
    gc();
    const [heap, buffers] = [allocated()!, process.memoryUsage().arrayBuffers];
    for (let index = 0; index < operations; index++) {
      const result = work();
      if (result instanceof Promise) await result;
    }
    const grown = allocated()! - heap + Math.max(0, process.memoryUsage().arrayBuffers - buffers);
    samples.push(grown / operations);
  }
  return Math.round(medianOf(samples));
}

function allocated(): number | undefined {
  return (getHeapStatistics() as { readonly total_allocated_bytes?: number }).total_allocated_bytes;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
