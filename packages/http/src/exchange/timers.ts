import { TimerEntry } from "@steward/core/driver";
import type { Exchange } from "./exchange.ts";

/** The wait for response headers. */
export class ReplyTimer extends TimerEntry {
  readonly #exchange: Exchange;
  readonly #timeoutMs: number;

  constructor(exchange: Exchange, timeoutMs: number) {
    super();
    this.#exchange = exchange;
    this.#timeoutMs = timeoutMs;
  }

  override expire(): void {
    this.#exchange.replyTimeout(this.#timeoutMs);
  }
}

/** The wait for somebody to read a body. */
export class UnreadTimer extends TimerEntry {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    super();
    this.#exchange = exchange;
  }

  override expire(): void {
    if (this.#exchange.pausedSince >= 0) this.#exchange.takeBack();
  }
}
