import { sleepOn, type Clock, type Timer, type TimerOptions } from "./clock.ts";
import { StewardError } from "../errors.ts";

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly unref: boolean;
  readonly callback: () => void;
}

// More timers than this within one step means that something sets timers in a loop.
const MOST_TIMERS = 1_000_000;
// How many turns of the event loop we grant to work that needs real I/O before we call it stuck.
const PATIENCE_TURNS = 200;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Time that stands still until the test moves it.
 *
 * Timers run in the order of their instants, equal instants in the order they were set. Between two instants, and
 * before and after each move, everything that has begun (promise callbacks, ticks) runs to its end.
 *
 * @example
 * ```ts
 * import { FakeClock } from "@steward/core/testing";
 * const clock = new FakeClock();
 * let rang = false;
 * clock.setTimeout(() => (rang = true), 60_000);
 * await clock.advance(60_000);
 * console.log(rang, clock.now()); // => true 60000
 * ```
 */
export class FakeClock implements Clock {
  readonly #timers: Pending[] = [];
  #now: number;
  #wallOffset: number;
  #order = 0;

  /**
   * @param startMs what {@link now} says at first. Default 0.
   * @param wallMs what {@link wallNow} says at first, in ms since 1970. Default: the real time of day.
   */
  constructor(startMs = 0, wallMs: number = Date.now()) {
    this.#now = startMs;
    this.#wallOffset = wallMs - startMs;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return Math.floor(this.#wallOffset + this.#now);
  }

  /** Sets the time of day forward by `ms`, or back where it is negative, as an operator or NTP does. No timer notices. */
  stepWall(ms: number): void {
    this.#wallOffset += ms;
  }

  setTimeout(callback: () => void, delayMs: number, options: TimerOptions = {}): Timer {
    const delay = delayMs > 0 ? delayMs : 0;
    const timer = { at: this.#now + delay, order: (this.#order += 1), unref: options.unref === true, callback };
    const place = this.#timers.findIndex((other) => other.at > timer.at);
    this.#timers.splice(place < 0 ? this.#timers.length : place, 0, timer);
    return { cancel: () => this.#remove(timer) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Timers that are set and have not run, those that would not keep a process alive included. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Timers that would keep a process alive. After a stop it is 0. */
  get holding(): number {
    return this.#timers.filter((timer) => !timer.unref).length;
  }

  /** The instant of the next timer, or `undefined`. */
  get nextAt(): number | undefined {
    return this.#timers[0]?.at;
  }

  /** Lets everything that has begun run to its end; time stands still. */
  async settle(): Promise<void> {
    await turn();
  }

  /** Moves time on by `ms` and runs what comes due, also what those timers set within that time. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.settle();
    for (let count = 0; this.nextAt !== undefined && this.nextAt <= until; count += 1) {
      if (count > MOST_TIMERS) throw stuck(`${MOST_TIMERS} timers within ${ms} ms: something sets timers in a loop`);
      await this.#step(this.nextAt);
    }
    this.#now = Math.max(this.#now, until);
    await this.settle();
  }

  /** Moves time on to the next timer and runs all that come due then. Gives the ms that passed, 0 when none is set. */
  async advanceToNext(): Promise<number> {
    await this.settle();
    const before = this.#now;
    if (this.nextAt !== undefined) await this.advance(this.nextAt - before);
    return this.#now - before;
  }

  /**
   * Moves time on, timer by timer, until the promise settles, and gives its value. How long it took is the difference
   * of {@link now}.
   *
   * @throws {CLOCK_STUCK} it is still pending and no timer is left that could change that.
   */
  async runUntil<T>(promise: PromiseLike<T>): Promise<T> {
    const outcome = watch(promise);
    for (let idle = 0; ;) {
      await this.settle();
      if (outcome.settled) return promise;
      if (this.nextAt !== undefined) await this.#step(this.nextAt);
      else if ((idle += 1) > PATIENCE_TURNS)
        throw stuck("the promise is still pending and no timer of this clock is set");
    }
  }

  async #step(at: number): Promise<void> {
    const timer = this.#timers.shift();
    this.#now = Math.max(this.#now, at);
    timer?.callback();
    await this.settle();
  }

  #remove(timer: Pending): void {
    const place = this.#timers.indexOf(timer);
    if (place >= 0) this.#timers.splice(place, 1);
  }
}

function watch(promise: PromiseLike<unknown>): { readonly settled: boolean } {
  const outcome = { settled: false };
  const wait = async (): Promise<void> => {
    try {
      await promise;
    } catch {
      // The owner of the promise gets the error.
    } finally {
      outcome.settled = true;
    }
  };
  void wait();
  return outcome;
}

function stuck(message: string): StewardError {
  return new StewardError("CLOCK_STUCK", message);
}
