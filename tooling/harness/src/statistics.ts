/** A figure with the interval that holds the true median in 95 % of cases. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** The middle of numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [below = NaN, above = NaN] = sorted.slice(middle - 1, middle + 1);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : (below + above) / 2;
}

/**
 * The median with its 95 % interval, from the order of the numbers alone: it assumes no distribution, so a burst of
 * other work on the machine widens it but cannot fool it. From 9 numbers it is the 2nd to the 8th.
 */
export function estimate(numbers: readonly number[]): Estimate {
  const sorted = [...numbers].sort((a, b) => a - b);
  const cut = cutOf(sorted.length);
  return {
    median: median(sorted),
    low: sorted[cut] ?? NaN,
    high: sorted[sorted.length - 1 - cut] ?? NaN,
    samples: sorted.length,
  };
}

/** The index of the lower end: the largest that leaves at most 2.5 % outside at either end. */
function cutOf(count: number): number {
  let outside = 0;
  let combinations = 1;
  for (let cut = 0; ; cut++) {
    outside += (2 * combinations) / 2 ** count;
    if (outside > 0.05 || cut > count) return Math.max(0, cut - 1);
    combinations = (combinations * (count - cut)) / (cut + 1);
  }
}

/** Ratios of two series that were measured in pairs. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): Estimate {
  return estimate(numerators.map((numerator, i) => numerator / (denominators[i] ?? NaN)));
}

/** Random numbers from 0 to below 1 that are the same in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
