/** Ceilings of delays that double with every attempt, in ms. */
export interface BackoffBounds {
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * The delay before the next attempt, in ms: between half its ceiling and the ceiling, so that many who failed together
 * do not come back together, and none comes back at once. `attempt` counts from 0.
 */
export function backoffMs(attempt: number, { baseDelayMs, maxDelayMs }: BackoffBounds): number {
  const ceiling = Math.min(baseDelayMs * 2 ** attempt, maxDelayMs);
  return (ceiling * (1 + Math.random())) / 2;
}
