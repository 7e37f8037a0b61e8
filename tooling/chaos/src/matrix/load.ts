/** One call of a load; instants in ms of `performance.now()`. */
export interface Sample {
  readonly began: number;
  /** Id of a write. */
  readonly id: string | undefined;
  /** Unset while it is not settled. */
  ended?: number;
  error?: unknown;
}

const TURN_MS = 5;
const PROBE_EVERY = 1;

/** Calls that begin at a fixed rate, whatever becomes of the earlier ones, as those of real users do. */
export class Load {
  readonly samples: Sample[] = [];
  readonly #since = performance.now();
  readonly #perSecond: number;
  readonly #call: (n: number) => { id: string | undefined; done: Promise<unknown> };
  readonly #timer: NodeJS.Timeout;
  #beats = 0;
  readonly #probeMs: number;
  /** How late a bare timer of `probeMs` ever was in this process: what the machine adds to every time measured here. */
  jitterMs = 0;

  constructor(
    perSecond: number,
    probeMs: number,
    call: (n: number) => { id: string | undefined; done: Promise<unknown> },
  ) {
    this.#probeMs = probeMs;
    this.#perSecond = perSecond;
    this.#call = call;
    this.#timer = setInterval(() => this.#beat(), TURN_MS);
  }

  #beat(): void {
    const now = performance.now();
    if (this.#beats++ % PROBE_EVERY === 0) this.#probe(now);
    const due = ((now - this.#since) * this.#perSecond) / 1_000;
    while (this.samples.length < due) this.#one();
  }

  #probe(began: number): void {
    setTimeout(() => {
      this.jitterMs = Math.max(this.jitterMs, performance.now() - began - this.#probeMs);
    }, this.#probeMs).unref();
  }

  #one(): void {
    const began = performance.now();
    const { id, done } = this.#call(this.samples.length);
    const sample: Sample = { began, id };
    this.samples.push(sample);
    done.then(
      () => void (sample.ended = performance.now()),
      (error: unknown) => {
        sample.ended = performance.now();
        sample.error = error ?? "nothing";
      },
    );
  }

  /** Begins no more calls. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Calls begun and not settled. */
  get open(): number {
    return this.samples.filter(({ ended }) => ended === undefined).length;
  }
}
