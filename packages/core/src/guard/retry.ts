import { milliseconds, share, wholeNumber } from "../options/rules.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";
import { backoffMs } from "../time/backoff.ts";

/** Whether and when a call that failed is made again. */
export interface RetryOptions {
  /** Attempts in all, the first included. 1 means no retry. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Ceiling of the first delay, in ms; it doubles with every attempt. Default 50. */
  readonly baseDelayMs?: number | undefined;
  /** Ceiling of every delay, in ms. Default 2,000. */
  readonly maxDelayMs?: number | undefined;
  /** Retries for each call that was made, so that an outage is not multiplied. 0 to 1. Default 0.2. */
  readonly budgetRatio?: number | undefined;
}

/** What the options of retries must be. */
export const retryShape: Shape<RetryOptions> = /* @__PURE__ */ shape<RetryOptions>(() => ({
  maxAttempts: wholeNumber(1),
  baseDelayMs: milliseconds(),
  maxDelayMs: milliseconds(),
  budgetRatio: share(true),
}));

const DEFAULTS = { maxAttempts: 3, baseDelayMs: 50, maxDelayMs: 2_000, budgetRatio: 0.2 };
/** Retries that may be saved up. */
const LARGEST_BUDGET = 20;
/** Retries that there are from the start, so that a quiet service can retry too. */
const FIRST_BUDGET = 5;

/** Decides on retries: capped exponential delays with full jitter, and a budget that calls earn. */
export class RetryPolicy {
  readonly #options: typeof DEFAULTS;
  readonly #random: () => number;
  #budget = FIRST_BUDGET;

  /** @param random Gives 0 to below 1; for tests. */
  constructor(options: RetryOptions = {}, random: () => number = Math.random) {
    assertShape("retry", retryShape, options);
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.#options = { ...DEFAULTS, ...given };
    this.#random = random;
  }

  /** A call was made: it earns a part of a retry. */
  earn(): void {
    this.#budget = Math.min(LARGEST_BUDGET, this.#budget + this.#options.budgetRatio);
  }

  /** The delay in ms before the next attempt, or `undefined` when there is none. `attempt` counts from 1, the one that failed. */
  next(attempt: number): number | undefined {
    const { maxAttempts, baseDelayMs, maxDelayMs } = this.#options;
    if (attempt >= maxAttempts || this.#budget < 1) return undefined;
    this.#budget--;
    return backoffMs(attempt - 1, { minMs: baseDelayMs, maxMs: maxDelayMs }, "full", this.#random);
  }
}
