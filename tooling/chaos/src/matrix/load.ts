import { Jitter, Rate } from "../rate.ts";

/** One call of a load; instants in ms of `performance.now()`. */
export interface Sample {
  readonly began: number;
  /** Id of a write. */
  readonly id: string | undefined;
  /** Unset while it is not settled. */
  ended?: number;
  error?: unknown;
}

/** Calls at a steady rate, and beside them how late a bare timer of the deadline's length ever was. */
export class Load {
  readonly samples: Sample[] = [];
  readonly #rate: Rate;
  readonly #jitter: Jitter;
  #waiting: (() => void)[] = [];

  constructor(
    perSecond: number,
    deadlineMs: number,
    call: (n: number) => { id: string | undefined; done: Promise<unknown> },
  ) {
    this.#jitter = new Jitter(deadlineMs);
    this.#rate = new Rate(perSecond, (n) => this.#one(call(n)));
  }

  /** What the machine adds to every time measured here, in ms. */
  get jitterMs(): number {
    return this.#jitter.ms;
  }

  async #one({ id, done }: { readonly id: string | undefined; readonly done: Promise<unknown> }): Promise<void> {
    const sample: Sample = { began: performance.now(), id };
    this.samples.push(sample);
    for (const resolve of this.#waiting.splice(0)) resolve();
    try {
      await done;
    } catch (error) {
      sample.error = error ?? "nothing";
    }
    sample.ended = performance.now();
  }

  /** Resolves in the turn in which the next call begins. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Begins no more calls. */
  stop(): void {
    this.#rate.stop();
    this.#jitter[Symbol.dispose]();
  }
}
