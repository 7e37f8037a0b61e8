import { Guard } from "../guard/guard.ts";
import { guardOf } from "../guard/guarded.ts";
import { OptionsError } from "../options/problems.ts";
import { milliseconds, wholeNumber, withMethods } from "../options/rules.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";
import { systemClock, type Clock, type Timer } from "../time/clock.ts";
import { Gradient } from "./gradient.ts";

/** How a limit follows what its server can do. */
export interface AdaptiveLimitOptions {
  /** Fewest calls at once. Default 1. */
  readonly min?: number | undefined;
  /** Most calls at once. Default: what the guard was made with, else 1,000. */
  readonly max?: number | undefined;
  /** Calls at once to begin with. Default 20, or `max` where that is less. */
  readonly initial?: number | undefined;
  /** Time between two looks at how long calls take, in ms. Default 1,000. */
  readonly everyMs?: number | undefined;
  /** Fewest calls that show something; an interval with less goes on. Default 10. */
  readonly fewest?: number | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** What a limit is now. */
export interface AdaptiveLimitStats {
  readonly limit: number;
  /** How long a call takes where none has to queue, in ms; `undefined` before the first interval. */
  readonly freeMs: number | undefined;
}

/** A limit that follows what its server can do, until it is stopped. */
export interface AdaptiveLimit extends Disposable {
  /** Calls at once, now. */
  readonly limit: number;
  stats(): AdaptiveLimitStats;
  /** Stops following. The limit stays where it is, or where it was before it was halved to measure. */
  stop(): void;
}

const adaptiveShape: Shape<AdaptiveLimitOptions> = /* @__PURE__ */ shape<AdaptiveLimitOptions>(
  () => ({
    min: wholeNumber(1),
    max: wholeNumber(1),
    initial: wholeNumber(1),
    everyMs: milliseconds(),
    fewest: wholeNumber(1),
    clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
  }),
  ({ min = 1, max = min }) => (min > max ? { path: "min", message: "must not be more than max" } : undefined),
);

const OWNER = "adaptiveLimit";
const MOST = 1_000;
const INITIAL = 20;

/**
 * Lets the guard of a resource find by itself how many calls its server takes at once: as many as it works on without queueing them,
 * and a few more. Where the server becomes slower, fewer go to it and the rest waits in the guard, where deadlines hold and what is too much
 * is refused. How it is found says {@link Gradient}.
 *
 * For a server whose calls take about as long as one another; of a database with a fixed pool the pool is the limit.
 *
 * @param of A guard, or the value of a resource whose definition declares `guard`.
 * @throws {OPTIONS_INVALID} listing everything that is wrong with the options.
 * @throws {NOT_GUARDED} when the definition of the resource declares no `guard`.
 *
 * @example
 * ```ts
 * import { Guard, systemClock } from "@steward/core";
 * import { adaptiveLimit } from "@steward/core/adaptive-limit";
 *
 * const guard = new Guard({ resource: "search", clock: systemClock, timeoutMs: 2_000 });
 * using limit = adaptiveLimit(guard, { max: 200 });
 * console.log(limit.limit); // => 20
 * ```
 */
export function adaptiveLimit(of: Guard | object, options: AdaptiveLimitOptions = {}): AdaptiveLimit {
  assertShape(OWNER, adaptiveShape, options);
  const guard = of instanceof Guard ? of : guardOf(of);
  return new Follower(guard, options);
}

class Follower implements AdaptiveLimit {
  readonly #guard: Guard;
  readonly #gradient: Gradient;
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #fewest: number;
  #seen: Counts;
  #since: number;
  #timer: Timer;

  constructor(
    guard: Guard,
    { min = 1, max, initial, everyMs = 1_000, fewest = 10, clock = systemClock }: AdaptiveLimitOptions,
  ) {
    const most = max ?? guard.madeFor ?? MOST;
    if (min > most) throw new OptionsError([{ resource: OWNER, path: "min", message: tooSmall(guard, most) }]);
    this.#guard = guard;
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#fewest = fewest;
    this.#gradient = new Gradient(initial ?? INITIAL, { min, max: most });
    this.#seen = countsOf(guard);
    this.#since = clock.now();
    guard.resize(this.limit);
    this.#timer = this.#next();
  }

  get limit(): number {
    return this.#gradient.limit;
  }

  stats(): AdaptiveLimitStats {
    return { limit: this.limit, freeMs: this.#gradient.freeMs };
  }

  stop(): void {
    this.#timer.cancel();
    if (this.#gradient.rest()) this.#guard.resize(this.limit);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #next(): Timer {
    return this.#clock.setTimeout(() => this.#look(), this.#everyMs, { unref: true });
  }

  #look(): void {
    this.#timer = this.#next(); // first, for a call that begins where there is more room now may stop it
    const [now, counts, before] = [this.#clock.now(), countsOf(this.#guard), this.#seen];
    const calls = counts.calls - before.calls;
    if (calls >= this.#fewest) {
      const tookMs = counts.tookMs - before.tookMs;
      this.#gradient.update({
        meanMs: tookMs / calls,
        concurrency: tookMs / (now - this.#since), // Little's law
        failedShare: (counts.failed - before.failed) / calls,
      });
      this.#seen = counts;
      this.#since = now;
      this.#guard.resize(this.limit);
    }
  }
}

/** Where `max` is not given. */
function tooSmall({ madeFor }: Guard, most: number): string {
  const whose = madeFor === undefined ? `the default of max, ${most}` : `${most}, what the guard was made with`;
  return `must not be more than ${whose}; give max, too`;
}

/** Counts of a guard since it was made. */
interface Counts {
  readonly calls: number;
  readonly tookMs: number;
  readonly failed: number;
}

function countsOf(guard: Guard): Counts {
  const { count, sum } = guard.durations;
  return { calls: count, tookMs: sum * 1_000, failed: guard.stats().failed };
}
