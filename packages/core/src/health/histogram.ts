import type { HistogramValue } from "../ports/metrics.ts";

/** Bounds of durations of calls, in s: from 50 us, which an answer from the same machine takes, to 10 s. */
export const DURATION_BOUNDS: readonly number[] = [
  0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
];

/** Counts of values by bucket, in one typed array: recording allocates nothing. */
export class Histogram {
  readonly #bounds: Float64Array;
  readonly #counts: Float64Array;
  #sum = 0;
  #count = 0;

  /** @param bounds Upper bounds of the buckets, ascending, each included in its bucket. */
  constructor(bounds: readonly number[] = DURATION_BOUNDS) {
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** Counts one value. */
  record(value: number): void {
    const bounds = this.#bounds;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i++; // i is within the array
    this.#counts[i] = (this.#counts[i] as number) + 1; // there is one count more than bounds
    this.#sum += value;
    this.#count++;
  }

  /** Of all values. */
  get sum(): number {
    return this.#sum;
  }

  /** How many values there were. */
  get count(): number {
    return this.#count;
  }

  /** The counts so far. */
  value(): HistogramValue {
    const counts = Array.from(this.#counts);
    return { bounds: Array.from(this.#bounds), counts, sum: this.#sum, count: this.#count };
  }
}
