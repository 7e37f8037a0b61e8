import { outsideRequests } from "../context.ts";
import type { Clock } from "../time/clock.ts";
import { TimeoutReached, withTimeout } from "../time/with-timeout.ts";

/** An answer that is later than its timeout by this much shows that this process stood still, in ms. */
const LATE_MS = 200;

/** Asks a resource for a sign of life: one question at a time, each within its timeout. */
export class Inquiry {
  readonly #clock: Clock;
  readonly #ask: (signal: AbortSignal) => Promise<void> | void;
  readonly #timeoutMs: number;
  #asking: Promise<unknown> | undefined = undefined;
  /** When a question was last not answered, in ms of the clock; `-Infinity` when that never was so. */
  unansweredAt: number = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, ask: (signal: AbortSignal) => Promise<void> | void, timeoutMs: number) {
    this.#clock = clock;
    this.#ask = ask;
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves with `undefined` when it answers, and with the reason when it does not. All callers share one question. */
  answer(): Promise<unknown> {
    return (this.#asking ??= this.#once(true).finally(() => (this.#asking = undefined)));
  }

  async #once(mayRepeat: boolean): Promise<unknown> {
    const since = this.#clock.now();
    const abort = new AbortController();
    try {
      await withTimeout(this.#clock, this.#timeoutMs, async () => outsideRequests(() => this.#ask(abort.signal)), {
        abort,
      });
      return undefined;
    } catch (error) {
      // The answer may lie in the socket, unread.
      if (mayRepeat && this.#clock.now() - since > this.#timeoutMs + LATE_MS) return await this.#once(false);
      this.unansweredAt = this.#clock.now();
      return error instanceof TimeoutReached ? new Error(`no answer within ${this.#timeoutMs} ms`) : error;
    }
  }
}
