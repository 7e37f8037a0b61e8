import { mock } from "node:test";
import type { Clock } from "@steward/core";
import { sleepOn } from "@steward/core/driver";

/**
 * Virtual time for code of anybody: `setTimeout`, `setInterval` and `Date` of this process stand still until it is
 * moved on, ms by ms. Between two ms everything that is under way runs to its end.
 */
export class World implements Disposable {
  #now = 0;
  /** The same time for those who take a clock. */
  readonly clock: Clock = {
    now: () => this.#now,
    wallNow: () => this.#now,
    setTimeout(callback, delayMs) {
      const timer = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    sleep: (delayMs, signal) => sleepOn(this.clock, delayMs, signal),
  };

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 0 });
  }

  /** Ms since it began. */
  get now(): number {
    return this.#now;
  }

  /** Moves time on by 1 ms. */
  async step(): Promise<void> {
    this.#now++;
    mock.timers.tick(1);
    await new Promise((resolve) => setImmediate(resolve));
  }

  [Symbol.dispose](): void {
    mock.timers.reset();
  }
}
