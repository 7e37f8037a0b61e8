import type { Clock, Timer } from "@steward/core";
import { LazyAbort } from "@steward/core/container";
import { atOnce, type StopTime } from "./stop.ts";

/** Bounds of a container, in ms. */
export interface Limits {
  readonly startTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly stopTimeoutMs: number;
}

/** Part of a stop's time that draining may take. */
const DRAIN_SHARE = 2 / 3;
/** Time that is kept for stops by force: this part of the whole, but not more than that many ms. */
const FORCE_SHARE = 0.1;
const LONGEST_FORCE_MS = 250;

/** An instant that can only come closer, and a signal that aborts then. */
class Alarm {
  readonly #clock: Clock;
  readonly #abort = new LazyAbort();
  #at = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get at(): number {
    return this.#at;
  }

  atLatest(at: number, reason: string): void {
    if (at >= this.#at || this.#abort.aborted) return;
    this.#timer?.cancel();
    this.#at = at;
    if (at <= this.#clock.now()) this.#abort.abort(() => new Error(reason));
    else this.#timer = this.#clock.setTimeout(() => this.#abort.abort(() => new Error(reason)), at - this.#clock.now());
  }

  /** It stays as it is. */
  close(): void {
    this.#timer?.cancel();
    this.#at = Number.NEGATIVE_INFINITY;
  }
}

/**
 * The time that a drain and a stop have. Draining may take two thirds of what a stop was given; what is left goes to
 * scopes that have to be ended, sessions and resources; a tenth of it, 250 ms at most, is for stops by force.
 */
export class StopBudget implements StopTime {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #drained: Alarm;
  readonly #force: Alarm;
  readonly #over: Alarm;

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#drained = new Alarm(clock);
    this.#force = new Alarm(clock);
    this.#over = new Alarm(clock);
  }

  /** Aborts when draining has to end. */
  get drained(): AbortSignal {
    return this.#drained.signal;
  }

  get force(): AbortSignal {
    return this.#force.signal;
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Draining begins. */
  drain(timeoutMs: number = this.#limits.drainTimeoutMs): void {
    this.#drained.atLatest(this.#clock.now() + timeoutMs, `all drains together may take ${Math.round(timeoutMs)} ms`);
  }

  /** A stop was asked for: drain and stop end in this time. A later, shorter one counts too. */
  stop(timeoutMs: number | undefined): void {
    const { drainTimeoutMs, stopTimeoutMs } = this.#limits;
    const totalMs = Math.max(0, timeoutMs ?? drainTimeoutMs + stopTimeoutMs);
    this.drain(timeoutMs === undefined ? drainTimeoutMs : Math.min(drainTimeoutMs, totalMs * DRAIN_SHARE));
    this.#end(totalMs);
  }

  /** Resources stop from here on. */
  stopResources(): void {
    this.#end(this.#limits.stopTimeoutMs);
  }

  #end(timeoutMs: number): void {
    const at = this.#clock.now() + timeoutMs;
    const forceMs = Math.min(LONGEST_FORCE_MS, timeoutMs * FORCE_SHARE);
    const reason = `the stop may take ${Math.round(timeoutMs)} ms`;
    this.#force.atLatest(at - forceMs, reason);
    this.#over.atLatest(at, reason);
  }

  /**
   * Waits for some work for at most a part of what is left, at most `mostMs`; gives its value, or `undefined` for work
   * that has not ended then.
   */
  async share<T>(part: number, work: Promise<T>, mostMs: number = Number.POSITIVE_INFINITY): Promise<T | undefined> {
    const left = Math.max(0, this.#over.at - this.#clock.now());
    let timer: Timer | undefined;
    let end: () => void = () => {};
    const late = new Promise<undefined>((resolve) => {
      end = () => void atOnce().then(() => resolve(undefined));
      timer = this.#clock.setTimeout(end, Math.min(left * part, mostMs));
      this.over.addEventListener("abort", end, { once: true });
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      timer?.cancel();
      this.over.removeEventListener("abort", end);
    }
  }

  /** Ends with another one too; the returned function undoes that. */
  follow(other: StopBudget): () => void {
    const onForce = (): void => this.#force.atLatest(this.#clock.now(), "the container stops");
    const onOver = (): void => this.#over.atLatest(this.#clock.now(), "the container stops");
    for (const [signal, listener] of [
      [other.force, onForce],
      [other.over, onOver],
    ] as const) {
      if (signal.aborted) listener();
      else signal.addEventListener("abort", listener, { once: true });
    }
    return () => {
      other.force.removeEventListener("abort", onForce);
      other.over.removeEventListener("abort", onOver);
    };
  }

  /** All is stopped. */
  close(): void {
    this.#drained.close();
    this.#force.close();
    this.#over.close();
  }
}
