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
  /** Calls that took longer than their deadline and what the machine may add. */
  readonly late: number;
  readonly codes: Readonly<Record<string, number>>;
}

const TURN_MS = 10;

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

  constructor(client: Client, perSecond: number, lateMs: number) {
    this.#client = client;
    this.#lateMs = lateMs;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#since) * perSecond) / 1_000;
      while (this.#begun < due) this.#one();
    }, TURN_MS);
  }

  #one(): void {
    const n = this.#begun++;
    const began = performance.now();
    const call = n % 10 === 0 ? this.#client.write(`soak:${n % 1_000}`) : this.#client.read();
    call.then(
      () => {
        this.#succeeded += 1;
        this.#settled(began);
      },
      (error: unknown) => {
        this.#failed += 1;
        const code = error instanceof Error && "code" in error ? String(error.code) : "none";
        this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
        this.#settled(began);
      },
    );
  }

  #settled(began: number): void {
    const took = performance.now() - began;
    this.#slowestMs = Math.max(this.#slowestMs, took);
    if (took > this.#lateMs) this.#late += 1;
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
      codes: Object.fromEntries(this.#codes),
    };
  }

  /** Begins no more calls. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
