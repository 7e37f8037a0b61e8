/** What one interval of calls has shown. */
export interface Sample {
  /** Mean duration of a call, in ms. */
  readonly meanMs: number;
  /** Calls that ran at once, on average. */
  readonly concurrency: number;
  /** Share of the calls that failed, late ones included, 0 to 1. */
  readonly failedShare: number;
}

/** What the limit may be. */
export interface LimitBounds {
  readonly min: number;
  readonly max: number;
}

/** Less than this share of the limit in use shows nothing of it: calls are few, not slow. */
const IN_USE = 0.5;
/** Share of failed calls from which on durations may not be those of work: to fail may take no time. */
const FAILED = 0.1;
/** An interval changes the limit no more than by this, and so much of it is left while the duration without a queue is measured. */
const STEEPEST = 0.5;
/** After so many intervals it is measured anew. */
const MEASURED_EVERY = 60;
/** So soon where calls take twice as long as they are said to take without a queue: that may have been of other, faster calls. */
const DOUBTED_AFTER = 10;
/** How many intervals that takes: in the first one calls that had queued before still end. */
const MEASURING = 2;
/** Where calls take less than this share of the time at half the limit, most of them had been queueing. */
const QUEUEING = 0.75;

/**
 * How many calls a server takes at once without queueing them, found from how long they take.
 *
 * `limit = limit * gradient + sqrt(limit)`, where the gradient is the duration without a queue over the duration now, between 0.5
 * and 1. A server that works on `c` calls at once takes `limit / c` times as long for `limit` of them, so the limit comes to rest at
 * `c + sqrt(limit)`: all of what the server can do is used, and a queue of sqrt(limit) there keeps it so.
 *
 * Sources: the gradient limit of Netflix, "Performance Under Load" (2018), https://netflixtechblog.medium.com/performance-under-load-3e6fa9a60581,
 * and its `GradientLimit` in https://github.com/Netflix/concurrency-limits; the queue that it estimates is that of TCP Vegas, Brakmo and
 * Peterson, 1995.
 */
export class Gradient {
  readonly #bounds: LimitBounds;
  #limit: number;
  #freeMs: number | undefined;
  #intervals = MEASURED_EVERY;
  /** While it is measured at half the limit: the limit before, and how long calls took at it. */
  #before: { readonly limit: number; readonly meanMs: number } | undefined;

  constructor(initial: number, bounds: LimitBounds) {
    this.#bounds = bounds;
    this.#limit = this.#within(initial);
  }

  /** The limit now, a whole number. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** How long a call takes where none has to queue, in ms; `undefined` before the first interval. */
  get freeMs(): number | undefined {
    return this.#freeMs;
  }

  /** Takes what an interval has shown. */
  update({ meanMs, concurrency, failedShare }: Sample): void {
    const isSound = failedShare <= FAILED;
    this.#intervals++;
    if (this.#before !== undefined) return this.#measured(meanMs, isSound);
    if (isSound) this.#freeMs = Math.min(this.#freeMs ?? meanMs, meanMs);
    if (this.#freeMs === undefined || concurrency < this.#limit * IN_USE) return;
    const isDoubtful = isSound && this.#freeMs < meanMs * STEEPEST && this.#intervals >= DOUBTED_AFTER;
    if (this.#intervals >= MEASURED_EVERY || isDoubtful) return this.#measure(meanMs);
    const gradient = Math.min(1, Math.max(STEEPEST, this.#freeMs / meanMs));
    const next = this.#within(this.#limit * gradient + Math.sqrt(this.#limit));
    if (isSound || next < this.#limit || meanMs > this.#freeMs * QUEUEING) this.#limit = next;
  }

  /** No interval follows. True when the limit was at the half at which it is measured, where it is not left. */
  rest(): boolean {
    if (this.#before === undefined) return false;
    this.#limit = this.#before.limit;
    this.#before = undefined;
    return true;
  }

  #measure(meanMs: number): void {
    this.#before = { limit: this.#limit, meanMs };
    this.#intervals = 0;
    this.#limit = this.#within(this.#limit * STEEPEST);
  }

  #measured(meanMs: number, isSound: boolean): void {
    if (this.#before === undefined || this.#intervals < MEASURING) return;
    const { limit, meanMs: meanBefore } = this.#before;
    this.#before = undefined;
    if (isSound) this.#freeMs = meanMs;
    // The half may be too much too.
    if (meanMs < meanBefore * QUEUEING && this.#limit < limit) return this.#measure(meanMs);
    this.#limit = limit;
    this.#intervals = 0;
  }

  #within(limit: number): number {
    return Math.min(this.#bounds.max, Math.max(this.#bounds.min, 1, limit));
  }
}
