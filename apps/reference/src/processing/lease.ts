import { StewardError, type Clock, type Timer } from "@steward/core";

/**
 * How long a job is ours. It ends here before it ends in the database, so a process that stood still, or has lost its
 * database, stops before another one begins.
 */
export class Lease {
  /** Says in the database whose job it is. */
  readonly holder: string;
  readonly #clock: Clock;
  readonly #lengthMs: number;
  readonly #abort = new AbortController();
  #until = 0;
  #timer: Timer | undefined;

  /** @param sinceMs when the statement began that took the job, in ms of the clock. */
  constructor(holder: string, lengthMs: number, clock: Clock, sinceMs: number) {
    this.holder = holder;
    this.#clock = clock;
    this.#lengthMs = lengthMs;
    this.extend(sinceMs);
  }

  /** Aborts when the job is ours no more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** @throws {RESOURCE_UNAVAILABLE} when it has ended; the timer of a process that stood still may be late. */
  check(): void {
    if (this.#clock.now() >= this.#until) this.lose("the lease has run out");
    this.signal.throwIfAborted();
  }

  /** @param sinceMs when the statement began that extended it, in ms of the clock. */
  extend(sinceMs: number): void {
    if (this.signal.aborted) return;
    this.#until = Math.max(this.#until, sinceMs + this.#lengthMs);
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimeout(
      () => this.lose("the lease has run out"),
      Math.max(0, this.#until - this.#clock.now()),
      { unref: true },
    );
  }

  /** Ends it because somebody else has the job, or may have it. @returns what its signal aborts with. */
  lose(why: string): StewardError {
    this.#timer?.cancel();
    const error = new StewardError("RESOURCE_UNAVAILABLE", `the job is another instance's now: ${why}`);
    this.#abort.abort(error);
    return error;
  }

  /** No one needs it any more. */
  end(): void {
    this.#timer?.cancel();
  }
}
