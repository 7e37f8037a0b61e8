/** How often something may be done: so many units in any window of that length. */
export interface Rate {
  /** Units in one window. A whole number from 1 on. */
  readonly limit: number;
  /** Length of a window, in ms. */
  readonly windowMs: number;
  /** Units that may come at once where the rate is smooth. Default: `limit`. */
  readonly burst?: number | undefined;
  /**
   * Units come back one by one, evenly, instead of when each is one window old. It needs constant memory, and a
   * window can hold `burst + limit`. Default: `true` with a `burst` or a limit above 1,000, else `false`.
   */
  readonly smooth?: boolean | undefined;
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const TEXT = /^(\d{1,12})\/(?:(\d{1,6}) ?)?(s|m|h|d|sec|min|second|minute|hour|day)s?(?:;burst=(\d{1,12}))?$/;

/** What a rate as text must look like, for messages. */
export const RATE_TEXT = 'text such as "5/minute", "20/10 minutes" or "100/hour;burst=20"';

/**
 * Reads a rate: a limit, `/`, a unit (`second`, `minute`, `hour`, `day`, also in short, with a count before it where a
 * window is several of them) and the burst of a smooth one.
 *
 * @returns `undefined` where the text is none.
 *
 * @example
 * ```ts
 * import { parseRate } from "@steward/rate-limit";
 * console.log(parseRate("5/minute")); // => { limit: 5, windowMs: 60000 }
 * console.log(parseRate("100/15 minutes;burst=20")); // => { limit: 100, windowMs: 900000, burst: 20 }
 * console.log(parseRate("5 a minute")); // => undefined
 * ```
 */
export function parseRate(text: string): Rate | undefined {
  const match = TEXT.exec(text);
  if (match === null) return undefined;
  const [, limit, count = "1", unit = "s", burst] = match;
  const windowMs = Number(count) * (UNITS[unit.charAt(0)] ?? 0);
  return burst === undefined
    ? { limit: Number(limit), windowMs }
    : { limit: Number(limit), windowMs, burst: Number(burst) };
}
