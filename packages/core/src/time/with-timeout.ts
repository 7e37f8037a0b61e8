import type { Clock, Timer } from "./clock.ts";

/** Says that time ran out; the code that set the bound turns it into an error with a name and numbers. */
export class TimeoutReached extends Error {}

/** What bounded work is handed. The signal is made when it is first read, and that costs more than all else of a bound. */
export interface BoundedCall {
  /** Aborts when the work has to end. */
  readonly signal: AbortSignal;
}

/** How to end a bounded piece of work. */
export interface BoundedOptions {
  /** A caller's signal; when it aborts, the work has to end. */
  readonly outer?: AbortSignal | undefined;
  /** How long work that has to end may still take to do so, in ms. Default 0: it is given up at once. */
  readonly graceMs?: number | undefined;
  /** True when a result that arrives within the grace counts. Default `false`: the work has failed with the reason. */
  readonly acceptWithinGrace?: boolean | undefined;
  /** Called when work that was given up succeeds after all, so that what it made can be released. */
  readonly onLate?: (() => unknown) | undefined;
}

/** How to end a bounded piece of work, also from outside. */
export interface WithTimeoutOptions extends BoundedOptions {
  /** Aborted when the work has to end; aborting it ends the work too. */
  readonly abort: AbortController;
}

/**
 * Runs `work` for at most `timeoutMs`, then aborts it and waits no longer than the grace.
 *
 * It settles in that time whatever the work does. A work that is aborted rejects with the reason, once it has
 * really ended or the grace is over; what arrives later goes to `onLate`.
 */
export async function withTimeout<T>(
  clock: Pick<Clock, "setTimeout">,
  timeoutMs: number,
  work: () => Promise<T>,
  options: WithTimeoutOptions,
): Promise<T> {
  const { abort } = options;
  const bounded = new Bounded<T>(clock, options, abort);
  const onAbort = (): void => bounded.end(abort.signal.reason);
  abort.signal.addEventListener("abort", onAbort, { once: true });
  const running = bounded.run(timeoutMs, work);
  if (abort.signal.aborted) onAbort();
  try {
    return await running;
  } finally {
    abort.signal.removeEventListener("abort", onAbort);
  }
}

type Stage =
  | { readonly name: "running" }
  | { readonly name: "ending"; readonly reason: unknown }
  | { readonly name: "over" };

const RUNNING: Stage = { name: "running" };
const OVER: Stage = { name: "over" };

/** One bounded piece of work: as {@link withTimeout}, and it can be asked to end. */
export class Bounded<T> implements BoundedCall {
  readonly #clock: Pick<Clock, "setTimeout">;
  readonly #options: BoundedOptions;
  readonly #abort: AbortController;
  #stage: Stage = RUNNING;
  /** True while the work runs, also when it was given up. */
  isWorking = false;
  #timer: Timer | undefined;
  #resolve: (value: T) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    clock: Pick<Clock, "setTimeout">,
    options: BoundedOptions,
    abort: AbortController = new AbortController(),
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#abort = abort;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Runs it, once. One that was asked to end before that does not begin. */
  run(timeoutMs: number, work: (call: BoundedCall) => PromiseLike<T> | T): Promise<T> {
    const { outer } = this.#options;
    if (this.#stage.name === "ending") {
      this.#timer?.cancel();
      return Promise.reject(this.#stage.reason);
    }
    const settled = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = this.#clock.setTimeout(() => this.end(new TimeoutReached(`${timeoutMs} ms are over`)), timeoutMs);
    outer?.addEventListener("abort", this.#onOuter, { once: true });
    this.isWorking = true;
    begun(() => work(this)).then(
      (value) => this.#result(value),
      (error: unknown) => this.#failure(error),
    );
    if (outer?.aborted === true) this.#onOuter();
    return settled;
  }

  readonly #onOuter = (): void => this.end(this.#options.outer?.reason);

  /** Asks it to end. Does nothing once it has ended or was asked before. */
  end(reason: unknown): void {
    if (this.#stage.name !== "running") return;
    this.#stage = { name: "ending", reason };
    this.#timer?.cancel();
    const { graceMs = 0 } = this.#options;
    this.#abort.abort(reason);
    const giveUp = (): void => this.#settle(this.#reject, reason);
    if (graceMs === 0) giveUp();
    else this.#timer = this.#clock.setTimeout(giveUp, graceMs);
  }

  #result(value: T): void {
    this.isWorking = false;
    const stage = this.#stage;
    if (stage.name === "over") this.#options.onLate?.();
    else if (stage.name === "running" || this.#options.acceptWithinGrace === true) this.#settle(this.#resolve, value);
    else this.#settle(this.#reject, stage.reason);
  }

  #failure(error: unknown): void {
    this.isWorking = false;
    const stage = this.#stage;
    if (stage.name === "over") return;
    const reported = stage.name === "ending" && this.#options.acceptWithinGrace !== true ? stage.reason : error;
    this.#settle(this.#reject, reported);
  }

  #settle<V>(settle: (value: V) => void, value: V): void {
    this.#stage = OVER;
    this.#timer?.cancel();
    this.#options.outer?.removeEventListener("abort", this.#onOuter);
    settle(value);
  }
}

/** No async function: that is a promise more where the work gives one. */
function begun<T>(work: () => PromiseLike<T> | T): Promise<T> {
  try {
    return Promise.resolve(work());
  } catch (error) {
    return Promise.reject(error);
  }
}
