import { backoffMs, type BackoffBounds } from "@steward/core/driver";

/** Bounds of the pauses between connections. */
export interface PausePlan {
  readonly reconnect: BackoffBounds;
}

/** Going away, restarting, overloaded: said to everybody at once, so everybody would come back at once. */
const SAID_TO_ALL = new Set([1001, 1012, 1013]);

/** How long to wait before the next attempt: drawn at random from 0 up to a bound that doubles, so that many clients never come together. */
export class Pauses {
  readonly #plan: PausePlan;

  constructor(plan: PausePlan) {
    this.#plan = plan;
  }

  /** After a failed attempt, the first being 0. */
  after(attempt: number): number {
    return backoffMs(attempt, this.#plan.reconnect, "full");
  }

  /** After a connection ended; `attempt` is the one that opened it. */
  afterClose(code: number, attempt: number, livedMs: number): number {
    if (SAID_TO_ALL.has(code)) return Math.random() * this.#plan.reconnect.maxMs;
    return this.after(this.isStable(livedMs) ? 0 : attempt);
  }

  /** True when a connection lived so long that its end counts as the first trouble. */
  isStable(livedMs: number): boolean {
    return livedMs >= this.#plan.reconnect.maxMs;
  }
}
