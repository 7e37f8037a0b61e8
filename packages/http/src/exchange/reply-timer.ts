import { TimerEntry } from "@steward/core/driver";

/** Who waits for response headers. */
interface Waiting {
  replyTimeout(waitedMs: number): void;
}

/** The wait for response headers. */
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
