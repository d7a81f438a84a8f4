/**
 * How everything here is measured: in one run, A-B-B-A, as medians with their quartiles, and growth as an exponent.
 *
 * Not here: what is measured. Easily got wrong: the first run of each is thrown away, because it warms caches and the
 * compiler; and a difference of two noisy times is never a figure, only their ratio is.
 */

/** The middle half of some samples. */
export interface Quartiles {
  readonly low: number;
  readonly mid: number;
  readonly high: number;
}

/** One line of the result. */
export interface Row {
  readonly what: string;
  readonly value: Quartiles;
  /** `ms`, `MB` and the like; "" for a bare number. */
  readonly unit: string;
  /** The median in units of the figure's first row, or of what `what` names. */
  readonly ratio?: number;
}

/** What a figure has found. */
export interface Findings {
  readonly rows: readonly Row[];
  /** Sentences that belong to the numbers: growth, sizes, what was left out. */
  readonly notes: readonly string[];
}

/** What every figure is given. */
export interface BenchContext {
  /** The project's folder. */
  readonly root: string;
  /** A temporary folder of the figure's own, removed after it. */
  readonly work: string;
  /** Decides everything that is generated. */
  readonly seed: string;
}

/** One figure: `npm run bench -- NAME` measures it. Throws when what it would time is not done right. */
export type Figure = (context: BenchContext) => Promise<Findings>;

/** Median and quartiles of some samples. */
export function quartiles(samples: readonly number[]): Quartiles {
  return { low: percentile(samples, 0.25), mid: percentile(samples, 0.5), high: percentile(samples, 0.75) };
}

/** The smallest sample that the given share (0 to 1) of all samples does not exceed. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Milliseconds that something takes. */
export async function timed(run: () => unknown): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

/**
 * Runs A, B, B, A, `rounds` times after one round that does not count, and gives what each answered: milliseconds, as a
 * rule those of `timed`.
 */
export async function abba(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<{ readonly a: readonly number[]; readonly b: readonly number[] }> {
  const samples = { a: [] as number[], b: [] as number[] };
  for (let round = -1; round < rounds; round += 1) {
    const [a1, b1, b2, a2] = [await a(), await b(), await b(), await a()];
    if (round < 0) continue;
    samples.a.push(a1, a2);
    samples.b.push(b1, b2);
  }
  return samples;
}

/** The power of its size with which a cost grows from one point to another: 1 is linear, 2 square. */
export function growth(from: { readonly size: number; readonly cost: number }, to: typeof from): number {
  return Math.log(to.cost / from.cost) / Math.log(to.size / from.size);
}
