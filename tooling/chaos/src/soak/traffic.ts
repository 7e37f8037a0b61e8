import type { Client } from "../drivers/driver.ts";

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

const TURN_MS = 10;
/** A turn that comes later than this shows a process that stood still. */
const STALL_MS = 100;

/** Calls that begin at a fixed rate for as long as it runs; it remembers counts only, so its own heap stays flat. */
export class Traffic {
  readonly #client: Client;
  readonly #lateMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #since = performance.now();
  readonly #codes = new Map<string, number>();
  #begun = 0;
  #succeeded = 0;
  #failed = 0;
  #slowestMs = 0;
  #late = 0;
  #stalledMs = 0;
  #turnAt = performance.now();

  constructor(client: Client, perSecond: number, lateMs: number) {
    this.#client = client;
    this.#lateMs = lateMs;
    this.#timer = setInterval(() => {
      this.#stalledMs = this.#stalled();
      this.#turnAt = performance.now();
      const due = ((performance.now() - this.#since) * perSecond) / 1_000;
      while (this.#begun < due) this.#one();
    }, TURN_MS);
  }

  /** Time that the process stood still so far, a stall that ends just now included. */
  #stalled(): number {
    const lateMs = performance.now() - this.#turnAt - TURN_MS;
    return this.#stalledMs + (lateMs > STALL_MS ? lateMs : 0);
  }

  #one(): void {
    const n = this.#begun++;
    const [began, stalledMs] = [performance.now(), this.#stalledMs];
    const call = n % 10 === 0 ? this.#client.write(`soak:${n % 1_000}`) : this.#client.read();
    call.then(
      () => {
        this.#succeeded += 1;
        this.#settled(began, stalledMs);
      },
      (error: unknown) => {
        this.#failed += 1;
        const code = error instanceof Error && "code" in error ? String(error.code) : "none";
        this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
        this.#settled(began, stalledMs);
      },
    );
  }

  #settled(began: number, stalledMs: number): void {
    const took = performance.now() - began;
    this.#slowestMs = Math.max(this.#slowestMs, took);
    if (took - (this.#stalled() - stalledMs) > this.#lateMs) this.#late += 1;
  }

  get counts(): TrafficCounts {
    const [begun, succeeded, failed] = [this.#begun, this.#succeeded, this.#failed];
    return {
      begun,
      succeeded,
      failed,
      open: begun - succeeded - failed,
      slowestMs: Math.round(this.#slowestMs),
      late: this.#late,
      stalledMs: Math.round(this.#stalledMs),
      codes: Object.fromEntries(this.#codes),
    };
  }

  /** Begins no more calls. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
