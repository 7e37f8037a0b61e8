import type { MetricSample } from "@steward/core";

/** Counts of sources that do not count any more, so that sums of counts never fall. */
export class PastSeries {
  readonly #counts = new Map<string, MetricSample>();

  /** Adds counts; what describes only a moment is left out. */
  add(samples: Iterable<MetricSample>): void {
    for (const sample of samples) {
      if (sample.kind === "gauge") continue;
      const key = JSON.stringify([sample.name, sample.attributes]);
      this.#counts.set(key, sum(this.#counts.get(key), sample));
    }
  }

  [Symbol.iterator](): IterableIterator<MetricSample> {
    return this.#counts.values();
  }
}

function sum(a: MetricSample | undefined, b: MetricSample): MetricSample {
  if (a === undefined) return b;
  const [left, right] = [a.value, b.value];
  if (typeof left === "number" || typeof right === "number") return { ...b, value: Number(left) + Number(right) };
  const counts = right.counts.map((count, i) => count + (left.counts[i] ?? 0));
  return { ...b, value: { ...right, counts, sum: left.sum + right.sum, count: left.count + right.count } };
}
