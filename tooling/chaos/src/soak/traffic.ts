import type { Client } from "../drivers/driver.ts";
import { Losses, Rate } from "../rate.ts";

/** Counts of a traffic. */
export interface TrafficCounts {
  readonly begun: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Not settled yet. */
  readonly open: number;
  /** Longest call, in ms. */
  readonly slowestMs: number;
  /** Calls that took longer than their deadline and what the machine may add, besides the time in which it stood still. */
  readonly late: number;
  /** For how long the process stood still in all, in ms: in pieces of more than 100 ms. */
  readonly stalledMs: number;
  readonly codes: Readonly<Record<string, number>>;
}

const TURN_MS = 5;
/** A turn that comes later than this shows a process that stood still. */
const STALL_MS = 100;

/** Calls at a steady rate for as long as it runs; it remembers counts only, so its own heap stays flat. */
export class Traffic {
  readonly #lateMs: number;
  readonly #rate: Rate;
  readonly #errors = new Losses();
  #succeeded = 0;
  #failed = 0;
  #slowestMs = 0;
  #late = 0;
  #stalledMs = 0;
  #turnAt = performance.now();

  constructor(client: Client, perSecond: number, lateMs: number) {
    this.#lateMs = lateMs;
    const call = (n: number): Promise<unknown> => (n % 10 === 0 ? client.write(`soak:${n % 1_000}`) : client.read());
    this.#rate = new Rate(
      perSecond,
      (n) => this.#one(call(n)),
      (now) => {
        this.#stalledMs = this.#stalled(now);
        this.#turnAt = now;
      },
    );
  }

  /** Time that the process stood still so far, a stall that ends just now included. */
  #stalled(now: number = performance.now()): number {
    const lateMs = now - this.#turnAt - TURN_MS;
    return this.#stalledMs + (lateMs > STALL_MS ? lateMs : 0);
  }

  async #one(call: Promise<unknown>): Promise<void> {
    const [began, stalledMs] = [performance.now(), this.#stalledMs];
    try {
      await call;
      this.#succeeded += 1;
    } catch (error) {
      this.#failed += 1;
      // By code alone: messages differ, and this must not grow.
      this.#errors.add(error instanceof Error && "code" in error ? error.code : "none");
    }
    const took = performance.now() - began;
    this.#slowestMs = Math.max(this.#slowestMs, took);
    if (took - (this.#stalled() - stalledMs) > this.#lateMs) this.#late += 1;
  }

  get counts(): TrafficCounts {
    const [begun, succeeded, failed] = [this.#rate.begun, this.#succeeded, this.#failed];
    return {
      begun,
      succeeded,
      failed,
      open: begun - succeeded - failed,
      slowestMs: Math.round(this.#slowestMs),
      late: this.#late,
      stalledMs: Math.round(this.#stalledMs),
      codes: Object.fromEntries(this.#errors.counts),
    };
  }

  /** Begins no more calls. */
  stop(): void {
    this.#rate.stop();
  }
}
