import type { Sql } from "postgres";

/** One call of the load. */
export interface Sample {
  readonly at: number;
  end: number | undefined;
  error: (Error & { code?: string }) | undefined;
}

/** 200 calls a second, whatever becomes of them. */
export class Load {
  readonly samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(sql: Sql) {
    this.#timer = setInterval(() => {
      this.#call(sql);
      this.#call(sql);
    }, 10);
  }

  #call(sql: Sql): void {
    const sample: Sample = { at: performance.now(), end: undefined, error: undefined };
    this.samples.push(sample);
    const settle = (error?: Error): void => {
      sample.end = performance.now();
      sample.error = error;
    };
    sql`select 1 as one`.then(() => settle(), settle);
  }

  /** Ends the load and waits, for 3 s at most, until all calls are settled. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const deadline = performance.now() + 3_000;
    while (this.unsettled > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  get unsettled(): number {
    return this.samples.filter((s) => s.end === undefined).length;
  }

  get failed(): readonly Sample[] {
    return this.samples.filter((s) => s.error !== undefined);
  }

  /** Longest time from call to end, in ms. */
  get longestMs(): number {
    return Math.max(...this.samples.map((s) => (s.end ?? Number.POSITIVE_INFINITY) - s.at));
  }

  /** When the last failure was told, in ms after `since`. */
  lastFailureMs(since: number): number {
    return Math.max(0, ...this.failed.map((s) => (s.end ?? 0) - since));
  }

  /** When the first failure was told, in ms after `since`. */
  firstFailureMs(since: number): number {
    return Math.min(...this.failed.map((s) => (s.end ?? 0) - since));
  }
}
