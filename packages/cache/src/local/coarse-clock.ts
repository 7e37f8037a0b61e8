import type { Clock } from "@steward/core";

const RESOLUTION_MS = 1;

/**
 * The time of a clock, read at most once in a millisecond: a look at the clock costs as much as a look into the cache.
 * It stands still for as long as one piece of synchronous work.
 */
export class CoarseClock {
  readonly #clock: Pick<Clock, "now" | "setTimeout">;
  #now = -1;

  constructor(clock: Pick<Clock, "now" | "setTimeout">) {
    this.#clock = clock;
  }

  /** Monotonic time in ms. */
  get now(): number {
    return this.#now >= 0 ? this.#now : this.#read();
  }

  #read(): number {
    this.#now = this.#clock.now();
    this.#clock.setTimeout(this.#forget, RESOLUTION_MS, { unref: true });
    return this.#now;
  }

  readonly #forget = (): void => {
    this.#now = -1;
  };
}
