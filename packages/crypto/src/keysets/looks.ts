import type { Clock } from "@steward/core";

const LOOKS_A_SECOND = 50;
const RETRY_MS = 1_000;

/** How the looks of one keyset at its store went, and when the next ones may be. */
export class StoreLooks {
  readonly #clock: Clock;
  #succeededAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** Looks for unknown keys that are left in this second. */
  #unknown = { second: Number.NEGATIVE_INFINITY, left: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the last look succeeded. */
  get reachable(): boolean {
    return this.#failures === 0;
  }

  /** Time since the last look that succeeded, in ms. */
  get agoMs(): number {
    return this.#clock.now() - this.#succeededAt;
  }

  /** When to look again after failures, in ms: later each time. */
  get retryMs(): number {
    return RETRY_MS * 2 ** Math.min(this.#failures, 20);
  }

  succeeded(): void {
    this.#failures = 0;
    this.#succeededAt = this.#clock.now();
  }

  failed(): void {
    this.#failures++;
  }

  /** True when there may be one more look because of a message with an unknown key: fifty a second. */
  mayLookForUnknown(): boolean {
    const second = Math.floor(this.#clock.now() / 1_000);
    if (second !== this.#unknown.second) this.#unknown = { second, left: LOOKS_A_SECOND };
    return this.#unknown.left-- > 0;
  }
}
