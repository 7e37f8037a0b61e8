import type { GuardedUse } from "./guarded-use.ts";

/** How far one more duration moves what is taken for usual. */
const STEP = 1.03;
const LEAST_MS = 0.1;

/**
 * How long answers take of late, so that a queue longer than what can be served does not eat up all the work: whoever
 * is at its head has waited longest and has next to no time left, so without this every call would be begun just to
 * be given up, and none would succeed until the load falls far below what could be served.
 *
 * It follows the median: that a duration is longer counts, not by how much. Calls that sat through an outage take as
 * long as it did, and say nothing of those that waited behind them.
 */
export class Pace {
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  lastSuccessAt: number = Number.NEGATIVE_INFINITY;
  #usualMs = 0;

  /** A call succeeded after `tookMs`. */
  succeeded(now: number, tookMs: number): void {
    this.lastSuccessAt = now;
    const usualMs = this.#usualMs;
    if (usualMs === 0) this.#usualMs = Math.max(tookMs, LEAST_MS);
    else if (tookMs > usualMs) this.#usualMs = Math.min(tookMs, usualMs * STEP);
    else this.#usualMs = Math.max(tookMs, usualMs / STEP, LEAST_MS);
  }

  /** Whether a waiter had better leave its place to the next: more than half of its time is gone, and what is left is less than twice what an answer takes. */
  isHopeless(waiter: GuardedUse, now: number): boolean {
    return waiter.total - now < Math.min(2 * this.#usualMs, (waiter.total - waiter.since) / 2);
  }
}
