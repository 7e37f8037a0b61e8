import { setTimeout as sleepFor } from "node:timers/promises";
import { StewardError } from "@steward/core";

const POLL_MS = 2;
const PATIENCE_MS = 30_000;

/** An error, with the properties that those of ours, of Node and of drivers may have. */
export interface Failure extends Error {
  readonly code?: string | number;
  readonly retryable?: boolean;
  readonly errors?: readonly Failure[];
}

/**
 * Waits in real time until a condition holds; it is asked every 2 ms.
 *
 * @param what what is waited for, in words, for the error.
 * @param timeoutMs how long to wait at most, in ms. Default 30,000: a bound for a test that fails, not an expectation.
 * @throws {CONDITION_NOT_MET} the condition did not hold in time.
 *
 * @example
 * ```ts
 * import { until } from "@steward/testing";
 * let isOpen = false;
 * setTimeout(() => (isOpen = true), 10);
 * await until(() => isOpen, "the door is open");
 * console.log(isOpen); // => true
 * ```
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = "the condition holds",
  timeoutMs: number = PATIENCE_MS,
): Promise<void> {
  const since = performance.now();
  while (!(await condition())) {
    if (performance.now() - since > timeoutMs) {
      throw new StewardError("CONDITION_NOT_MET", `not within ${timeoutMs} ms: ${what}`);
    }
    await sleepFor(POLL_MS);
  }
}

/**
 * The error of a promise that should fail.
 *
 * @throws {DID_NOT_FAIL} the promise was fulfilled; the message holds its value.
 *
 * @example
 * ```ts
 * import { failure } from "@steward/testing";
 * const { message } = await failure(Promise.reject(new Error("no")));
 * console.log(message); // => no
 * ```
 */
export async function failure<E extends Error = Failure>(promise: PromiseLike<unknown>): Promise<E> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    // The caller says which kind of error it is, as with the variable of a catch.
    return error as E;
  }
  throw new StewardError("DID_NOT_FAIL", `a failure was expected, and it succeeded with ${String(value)}`);
}

/** Lets real time go by, in ms. It is for what cannot be waited for with `until`: that something does not happen. */
export async function sleep(ms: number): Promise<void> {
  await sleepFor(ms);
}

const TURN_MS = 5;
const waiting = new Set<() => void>();
let turning: NodeJS.Timeout | undefined;

/**
 * Says whether so many ms have gone by for this process: it counts turns of the event loop that come 5 ms apart, so that
 * what keeps this process from running keeps the alarm waiting, too. It is a bound that a busy machine cannot miss, for
 * what happens in this process; it rings up to a fifth later than a timer.
 *
 * @example
 * ```ts
 * import { Alarm, sleep } from "@steward/testing";
 * using alarm = new Alarm(1_000);
 * await sleep(10);
 * console.log(alarm.hasRung); // => false
 * ```
 */
export class Alarm implements Disposable {
  readonly #turn = (): void => {
    if (--this.#left <= 0) this[Symbol.dispose]();
  };
  #left: number;

  /** @param afterMs In ms from now. */
  constructor(afterMs: number) {
    this.#left = Math.ceil(afterMs / TURN_MS);
    waiting.add(this.#turn);
    turning ??= setInterval(() => {
      for (const turn of waiting) turn();
    }, TURN_MS);
  }

  get hasRung(): boolean {
    return this.#left <= 0;
  }

  /** It does not ring any more. */
  [Symbol.dispose](): void {
    waiting.delete(this.#turn);
    if (waiting.size > 0) return;
    clearInterval(turning);
    turning = undefined;
  }
}
