import type { Clock, Timer } from "@steward/core";
import { backoffMs } from "@steward/core/driver";

const BOUNDS = { minMs: 25, maxMs: 500 };

/**
 * Paces the attempts of a pool to connect: while they fail, one at a time, after a pause with full jitter that grows
 * with each failure. The first success lets all of them through at once.
 */
export class Reconnect {
  readonly #clock: Pick<Clock, "setTimeout">;
  readonly #again: () => void;
  readonly #random: () => number;
  #failures = 0;
  #pause: Timer | undefined;
  #stopped = false;
  /** Why the last attempt failed; `undefined` once one has succeeded. */
  error: unknown = undefined;

  constructor(clock: Pick<Clock, "setTimeout">, again: () => void, random: () => number) {
    this.#clock = clock;
    this.#again = again;
    this.#random = random;
  }

  /** True when another attempt may begin, with so many under way. */
  allows(underWay: number): boolean {
    if (this.#stopped || this.#pause !== undefined) return false;
    return this.#failures === 0 || underWay === 0;
  }

  /** An attempt failed. */
  failed(error: unknown): void {
    this.error = error;
    this.#failures++;
    if (this.#stopped) return;
    this.#pause?.cancel();
    this.#pause = this.#clock.setTimeout(
      () => this.#resume(),
      1 + backoffMs(this.#failures, BOUNDS, "full", this.#random),
    );
  }

  /** An attempt succeeded. */
  succeeded(): void {
    this.#failures = 0;
    this.error = undefined;
    if (this.#pause === undefined) return;
    this.#pause.cancel();
    this.#resume();
  }

  /** No more attempts. */
  stop(): void {
    this.#stopped = true;
    this.#pause?.cancel();
  }

  #resume(): void {
    this.#pause = undefined;
    this.#again();
  }
}
