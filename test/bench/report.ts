// One JSON object a line: what a benchmark found, beside what it is compared with in the same run.

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is compared with, and how many times that it is. */
  readonly against?: string;
  readonly ratio?: number;
  /** What is wanted, in words, and whether it was reached. */
  readonly target?: string;
  readonly met?: boolean;
}

export function report(figure: Figure): void {
  const { name, value, unit, against = null, ratio, target = null, met = null } = figure;
  const rounded = ratio === undefined ? null : Number(ratio.toPrecision(3));
  console.log(
    JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, against, ratio: rounded, target, met }),
  );
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!;
}
