import { performance } from "node:perf_hooks";
import { resource, systemClock, type Clock, type Definition } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { assertShape, func, milliseconds, recognised, shape, withMethods, type Shape } from "@steward/core/driver";
import { HttpError } from "../errors.ts";
import { withRefusal } from "../route/source.ts";

/** When requests are refused because the process is busy. */
export interface SheddingOptions {
  /** Share of time in which the event loop may be busy, above 0 and below 1. Default 0.9. */
  readonly maxUtilisation?: number | undefined;
  /** How long it has to be busier than that, in ms. Default 1,000. */
  readonly forMs?: number | undefined;
  /** What `retry-after` says, in ms; rounded up to seconds. Default 2,000. */
  readonly retryAfterMs?: number | undefined;
  /** Gives how busy the event loop was since the last question, 0 to 1. Default: what Node says of this thread. */
  readonly utilisation?: (() => number) | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** How busy the event loop was when a request was let in. */
export interface Unshed {
  /** Share of time, 0 to 1. */
  readonly utilisation: number;
}

const sheddingShape: Shape<SheddingOptions> = shape<SheddingOptions>(() => ({
  maxUtilisation: recognised(
    (value) => typeof value === "number" && value > 0 && value < 1,
    "a share above 0 and below 1",
  ),
  forMs: milliseconds(0),
  retryAfterMs: milliseconds(0),
  utilisation: func(),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
}));

/** How often it is measured, in ms: less says little. */
const WINDOW_MS = 100;

/**
 * A need for routes that can wait: while the event loop has been busy for too long, they answer 503 with `retry-after`
 * before their handler, so that what remains is for the routes without it. Define it once and put it first among the
 * needs. It measures when requests come, and runs nothing by itself.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { shedding } from "@steward/server";
 * const lowPriority = shedding({ maxUtilisation: 0.9, forMs: 1_000 });
 * console.log(lowPriority.lifetime); // => request
 * ```
 */
export function shedding(options: SheddingOptions = {}): Definition<Unshed, "request"> {
  assertShape("shedding", sheddingShape, options);
  const { retryAfterMs = 2_000 } = options;
  const load = new Load(options);
  const headers = { "retry-after": `${Math.max(1, Math.ceil(retryAfterMs / 1_000))}` };
  const definition = resource("load shedding", {
    lifetime: "request",
    start: (): Unshed => {
      if (load.isTooMuch())
        throw new HttpError(503, "the server is busy; please try again later", { code: "OVERLOADED", headers });
      return { utilisation: load.utilisation };
    },
  });
  withRefusal(definition as AnyDefinition, { status: 503, description: "The server is busy" });
  return definition;
}

/** How busy the event loop is, and for how long it has been too busy. */
class Load {
  readonly #clock: Clock;
  readonly #read: () => number;
  readonly #most: number;
  readonly #forMs: number;
  utilisation = 0;
  #measuredAt: number;
  /** Since when it is too busy; `undefined` when it is not. */
  #tooBusySince: number | undefined;

  constructor({
    maxUtilisation = 0.9,
    forMs = 1_000,
    utilisation = ofThisThread(),
    clock = systemClock,
  }: SheddingOptions) {
    this.#clock = clock;
    this.#read = utilisation;
    this.#most = maxUtilisation;
    this.#forMs = forMs;
    this.#measuredAt = clock.now();
  }

  isTooMuch(): boolean {
    const now = this.#clock.now();
    if (now - this.#measuredAt >= WINDOW_MS) this.#measure(now);
    return this.#tooBusySince !== undefined && now - this.#tooBusySince >= this.#forMs;
  }

  #measure(now: number): void {
    this.utilisation = this.#read();
    this.#tooBusySince = this.utilisation > this.#most ? (this.#tooBusySince ?? this.#measuredAt) : undefined;
    this.#measuredAt = now;
  }
}

function ofThisThread(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const { utilization } = performance.eventLoopUtilization(last);
    last = performance.eventLoopUtilization();
    return utilization;
  };
}
