import type { Clock } from "../time/clock.ts";
import { func, milliseconds, signal, text, wholeNumber, withMethods } from "../options/rules.ts";
import { shape, type Shape } from "../options/shape.ts";

/** How calls are put together. */
export interface BatchOptions<Item> {
  /** What errors call it. Default `batch`. */
  readonly name?: string | undefined;
  /** The most that one run takes: items, or what {@link sizeOf} counts. Default 64. */
  readonly max?: number | undefined;
  /**
   * How long the first item waits for others although nothing runs, in ms. Default 0: what waits is taken whenever
   * `run` is free, so that a lone caller loses nothing.
   */
  readonly waitMs?: number | undefined;
  /** The most that may wait, counted as `max` is; what is more is refused with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Runs at once. Default 1. */
  readonly maxConcurrent?: number | undefined;
  /** Longest call, time in the queue included, in ms. Default: none but that of the call and of the request. */
  readonly timeoutMs?: number | undefined;
  /** How much an item counts, such as its rows: a whole number, at least 1. One that is larger than `max` runs alone. Default 1. */
  readonly sizeOf?: ((item: Item) => number) | undefined;
  /** Items whose keys differ never run together. Default: all may. */
  readonly keyOf?: ((item: Item) => unknown) | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** What one caller may ask for. */
export interface BatchCallOptions {
  /** Deadline of this call, in ms from now. The smallest of call, batch and request context counts. */
  readonly timeoutMs?: number | undefined;
  /** Gives the call up when it aborts; an item that still waits leaves the queue. Default: that of the request. */
  readonly signal?: AbortSignal | undefined;
}

/** What the options of a batch must be. */
export const batchShape: Shape<BatchOptions<never>> = /* @__PURE__ */ shape<BatchOptions<never>>(() => ({
  name: text(),
  max: wholeNumber(1),
  waitMs: milliseconds(0),
  maxPending: wholeNumber(0),
  maxConcurrent: wholeNumber(1),
  timeoutMs: milliseconds(),
  sizeOf: func(),
  keyOf: func(),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
}));

/** What the options of a call must be. */
export const batchCallShape: Shape<BatchCallOptions> = /* @__PURE__ */ shape<BatchCallOptions>(() => ({
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
  signal: signal(),
}));
