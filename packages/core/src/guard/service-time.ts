/** How far one more duration moves what is taken for usual. */
const STEP = 1.03;
const LEAST_MS = 0.1;
/** Answers from which on it is believed. Fewer may all be of one kind, and say nothing of what waits. */
const FEWEST = 8;

/**
 * How long answers take, so that a queue longer than what can be served does not use up all the work: the call at its
 * head has waited longest and has next to no time left, so without this every call would begin only to run out of
 * time, and none would succeed until the load falls far below what could be served.
 *
 * It follows the median: that a duration is longer counts, not by how much. Calls that sat through an outage take as
 * long as it did, and say nothing of those that waited behind them.
 */
export class ServiceTime {
  #usualMs = 0;
  #answers = 0;

  /** How long an answer usually takes, in ms; 0 before the first. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** A call succeeded after `tookMs`. */
  record(tookMs: number): void {
    const usualMs = this.#usualMs;
    if (this.#answers < FEWEST) this.#answers++;
    if (usualMs === 0) this.#usualMs = Math.max(tookMs, LEAST_MS);
    else if (tookMs > usualMs) this.#usualMs = Math.min(tookMs, usualMs * STEP);
    else this.#usualMs = Math.max(tookMs, usualMs / STEP, LEAST_MS);
  }

  /** Whether a waiter should make room for the next: more than half of its time is gone, and what is left is less than twice what an answer takes. Never while few answers are known. */
  shouldShed(total: number, since: number, now: number): boolean {
    return this.#answers === FEWEST && total - now < Math.min(2 * this.#usualMs, (total - since) / 2);
  }
}
