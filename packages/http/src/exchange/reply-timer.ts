import { TimerEntry } from "@steward/core/driver";

/** Who waits for response headers. */
interface Waiting {
  replyTimeout(waitedMs: number): void;
}

/**
 * The wait for response headers: a deadline that is asked for, not a watch over a silent peer. A connection of HTTP/1
 * owes one answer, which may take its time, so there is nothing for core's `ConnectionWatch` to compare; that calls of an
 * origin get no answer is seen by its guard, which asks it over another connection (`ask` of `Origin`).
 */
export class ReplyTimer extends TimerEntry {
  readonly #waiting: Waiting;
  readonly #timeoutMs: number;

  constructor(waiting: Waiting, timeoutMs: number) {
    super();
    this.#waiting = waiting;
    this.#timeoutMs = timeoutMs;
  }

  override expire(): void {
    this.#waiting.replyTimeout(this.#timeoutMs);
  }
}
