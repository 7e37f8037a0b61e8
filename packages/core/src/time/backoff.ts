/** Bounds of pauses that double with every attempt, in ms. */
export interface BackoffBounds {
  /** Ceiling of the first pause. */
  readonly minMs: number;
  /** Ceiling of every pause. */
  readonly maxMs: number;
}

/** A duration up to a fifth longer or shorter, drawn at random, so that many do not do the same at the same moment. */
export function withJitter(ms: number): number {
  return ms * (0.8 + Math.random() * 0.4);
}

/** Doublings after which a pause does not grow further, whatever its ceiling. */
const MOST_DOUBLINGS = 30;

/**
 * The pause before the next attempt, in ms, drawn at random so that many who failed together do not come back together:
 * from 0 to its ceiling (`full`), or from half of it on, so that none comes back at once (`equal`).
 *
 * @param attempt how many failed before this one: 0 for the first pause.
 * @param random gives 0 to below 1; for tests.
 */
export function backoffMs(
  attempt: number,
  { minMs, maxMs }: BackoffBounds,
  jitter: "full" | "equal",
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(attempt, MOST_DOUBLINGS));
  return ceiling * (jitter === "full" ? random() : 1 - random() / 2);
}
