// Imported, because the global of that name is a getter: half of what a look at the clock costs.
import { performance } from "node:perf_hooks";

/** A timer that was set and can be taken back. */
export interface Timer {
  /** Takes the timer back. Does nothing once it has run. */
  cancel(): void;
}

/** How a timer behaves. */
export interface TimerOptions {
  /** True when the timer alone does not keep the process alive. Default `false`. */
  readonly unref?: boolean;
}

/**
 * Where time comes from: the real clock in production, a fake one in tests.
 *
 * All of Steward's timing goes through a clock, so a test can run an hour of it in a millisecond.
 */
export interface Clock {
  /** Monotonic time in ms; only differences mean something. */
  now(): number;
  /** Time of day in ms since 1970, for what people or other processes read. It may jump, also back; for durations take {@link now}. */
  wallNow(): number;
  /** Runs `callback` once, `delayMs` from now. */
  setTimeout(callback: () => void, delayMs: number, options?: TimerOptions): Timer;
  /** Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Longest delay that one `setTimeout` of Node can wait, in ms (about 24.8 days). */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/** Resolves after `delayMs` of the given clock; the `sleep` of every clock. Rejects with the signal's reason when it aborts first. */
export function sleepOn(clock: Pick<Clock, "setTimeout">, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** The real clock: `performance.now()` and Node's timers. Delays past {@link MAX_TIMER_MS} are cut to it. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimeout(callback, delayMs, options) {
    const timeout = setTimeout(callback, Math.min(Math.ceil(delayMs), MAX_TIMER_MS)); // Node has a list of timers for each length
    if (options?.unref === true) timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};
