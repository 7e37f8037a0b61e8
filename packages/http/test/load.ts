/** One call of a load: when it began and ended, in ms since the load began, and how. */
export interface Sample {
  readonly began: number;
  readonly ended: number;
  readonly error: unknown;
}

/** Calls that begin at a fixed rate, whatever becomes of the earlier ones, as those of real users do. */
export class Load {
  readonly samples: Sample[] = [];
  readonly #since = performance.now();
  readonly #call: () => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();
  #begun = 0;
  #turn = 0;
  /** The longest that this process was not let run, in ms: what the machine adds to every time measured here. */
  hiccup = 0;

  constructor(perSecond: number, call: () => Promise<unknown>) {
    this.#call = call;
    this.#timer = setInterval(() => {
      this.hiccup = Math.max(this.hiccup, this.now - this.#turn);
      this.#turn = this.now;
      for (const due = (this.now * perSecond) / 1_000; this.#begun < due; this.#begun++) this.#one();
    }, 5);
  }

  /** ms since it began. */
  get now(): number {
    return performance.now() - this.#since;
  }

  #one(): void {
    const began = this.now;
    const done = (error: unknown): void => {
      this.samples.push({ began, ended: this.now, error });
      this.#running.delete(run);
    };
    const run: Promise<void> = this.#call().then(() => done(undefined), done);
    this.#running.add(run);
  }

  /** Lets it go on for a while. */
  async run(forMs: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, forMs));
    return this.now;
  }

  /** Begins no more calls, and waits for the last one. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  get slowest(): number {
    return Math.max(...this.samples.map(({ began, ended }) => ended - began));
  }

  /** Calls that began in a span and failed. */
  failed(from = 0, to: number = Number.POSITIVE_INFINITY): Sample[] {
    return this.samples.filter(({ began, error }) => began >= from && began < to && error !== undefined);
  }

  /** When the first failure after an instant was known. */
  firstError(after: number): number {
    return Math.min(
      ...this.samples.filter(({ ended, error }) => error !== undefined && ended >= after).map(({ ended }) => ended),
    );
  }

  /** From which instant on every call that began succeeded. */
  healthyFrom(): number {
    return Math.max(0, ...this.failed().map(({ began }) => began));
  }
}
