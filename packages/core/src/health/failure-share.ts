/** A share of failures is looked at over this time, in ms, and says nothing below so many calls. */
const SHARE_OVER_MS = 10_000;
const SHARE_OF = 20;
const SHARE = 0.5;
/** How long a share of failures counts after the last of them, in ms. */
const SHARE_COUNTS_MS = 1_000;

/** Counts failures against the successes of a guard, over a while that begins with the first of them: costs successes nothing. */
export class FailureShare {
  #since = Number.NEGATIVE_INFINITY;
  #succeededBefore = 0;
  #count = 0;
  #tooLargeAt = Number.NEGATIVE_INFINITY;
  /** When one was counted last, in ms of the clock. */
  countedAt: number = Number.NEGATIVE_INFINITY;

  /** Counts a failure at `now`, and says whether that makes it too large. `succeeded` counts all successes so far. */
  count(now: number, succeeded: number): boolean {
    if (now - this.#since > SHARE_OVER_MS) {
      this.#since = now;
      this.#succeededBefore = succeeded;
      this.#count = 0;
    }
    this.#count++;
    this.countedAt = now;
    const total = this.#count + succeeded - this.#succeededBefore;
    const isTooLarge = total >= SHARE_OF && this.#count >= SHARE * total;
    if (isTooLarge) this.#tooLargeAt = now;
    return isTooLarge;
  }

  /** Whether it is too large, or was a moment ago. */
  counts(now: number): boolean {
    return now - this.#tooLargeAt < SHARE_COUNTS_MS;
  }

  /** Begins anew. */
  forget(): void {
    this.#since = this.#tooLargeAt = Number.NEGATIVE_INFINITY;
  }
}
