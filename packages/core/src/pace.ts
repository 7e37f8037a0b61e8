import type { GuardedUse } from "./guarded-use.ts";

/** How much one more duration counts against all before it. */
const WEIGHT = 1 / 8;

/**
 * How long answers take of late, so that a queue longer than what can be served does not eat up all the work: whoever
 * is at its head has waited longest and has next to no time left, so without this every call would be begun just to
 * be given up, and none would succeed until the load falls far below what could be served.
 */
export class Pace {
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  lastSuccessAt: number = Number.NEGATIVE_INFINITY;
  #usualMs = 0;

  /** A call succeeded after `tookMs`. */
  succeeded(now: number, tookMs: number): void {
    this.lastSuccessAt = now;
    this.#usualMs += (tookMs - this.#usualMs) * WEIGHT;
  }

  /** Whether a waiter had better leave its place to the next: more than half of its time is gone, and what is left is less than twice what an answer takes. */
  isHopeless(waiter: GuardedUse, now: number): boolean {
    return waiter.total - now < Math.min(2 * this.#usualMs, (waiter.total - waiter.since) / 2);
  }
}
