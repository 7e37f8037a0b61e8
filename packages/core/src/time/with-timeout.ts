import type { Clock, Timer } from "./clock.ts";

/** Says that time ran out; whoever set the bound turns it into an error with a name and numbers. */
export class TimeoutReached extends Error {}

/** How to end a bounded piece of work. */
export interface WithTimeoutOptions {
  /** Aborted when the work shall end; whoever aborts it ends the work too. */
  readonly abort: AbortController;
  /** A caller's signal; when it aborts, the work shall end. */
  readonly outer?: AbortSignal | undefined;
  /** How long work that shall end may still take to do so, in ms. Default 0: it is given up at once. */
  readonly graceMs?: number | undefined;
  /** True when a result that arrives within the grace counts. Default `false`: the work has failed with the reason. */
  readonly acceptWithinGrace?: boolean | undefined;
  /** Called when work that was given up succeeds after all, so that what it made can be released. */
  readonly onLate?: (() => unknown) | undefined;
}

/**
 * Runs `work` for at most `timeoutMs`, then tells it to end and waits no longer than the grace.
 *
 * It settles in that time whatever the work does. A work that is told to end rejects with the reason, once it has
 * really ended or the grace is over; what arrives later goes to `onLate`.
 */
export function withTimeout<T>(
  clock: Pick<Clock, "setTimeout">,
  timeoutMs: number,
  work: () => Promise<T>,
  options: WithTimeoutOptions,
): Promise<T> {
  return new Promise<T>((resolve, reject) => new Bounded(clock, options, resolve, reject).run(timeoutMs, work));
}

type Stage =
  | { readonly name: "running" }
  | { readonly name: "ending"; readonly reason: unknown }
  | { readonly name: "over" };

class Bounded<T> {
  readonly #clock: Pick<Clock, "setTimeout">;
  readonly #options: WithTimeoutOptions;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #stage: Stage = { name: "running" };
  #timer: Timer | undefined;

  constructor(
    clock: Pick<Clock, "setTimeout">,
    options: WithTimeoutOptions,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  run(timeoutMs: number, work: () => Promise<T>): void {
    const { abort, outer } = this.#options;
    this.#timer = this.#clock.setTimeout(() => this.#end(new TimeoutReached(`${timeoutMs} ms are over`)), timeoutMs);
    outer?.addEventListener("abort", this.#onOuter, { once: true });
    abort.signal.addEventListener("abort", this.#onAbort, { once: true });
    work().then(
      (value) => this.#result(value),
      (error: unknown) => this.#failure(error),
    );
    if (outer?.aborted === true) this.#onOuter();
    else if (abort.signal.aborted) this.#onAbort();
  }

  readonly #onOuter = (): void => this.#end(this.#options.outer?.reason);
  readonly #onAbort = (): void => this.#end(this.#options.abort.signal.reason);

  #end(reason: unknown): void {
    if (this.#stage.name !== "running") return;
    this.#stage = { name: "ending", reason };
    this.#timer?.cancel();
    const { abort, graceMs = 0 } = this.#options;
    abort.abort(reason);
    if (graceMs === 0) this.#finish(() => this.#reject(reason));
    else this.#timer = this.#clock.setTimeout(() => this.#finish(() => this.#reject(reason)), graceMs);
  }

  #result(value: T): void {
    const stage = this.#stage;
    if (stage.name === "over") this.#options.onLate?.();
    else if (stage.name === "running" || this.#options.acceptWithinGrace === true)
      this.#finish(() => this.#resolve(value));
    else this.#finish(() => this.#reject(stage.reason));
  }

  #failure(error: unknown): void {
    const stage = this.#stage;
    if (stage.name === "over") return;
    const reported = stage.name === "ending" && this.#options.acceptWithinGrace !== true ? stage.reason : error;
    this.#finish(() => this.#reject(reported));
  }

  #finish(settle: () => void): void {
    this.#stage = { name: "over" };
    this.#timer?.cancel();
    this.#options.outer?.removeEventListener("abort", this.#onOuter);
    this.#options.abort.signal.removeEventListener("abort", this.#onAbort);
    settle();
  }
}
