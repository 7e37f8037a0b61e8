import type { Clock } from "../time/clock.ts";
import { milliseconds, text, withMethods } from "../options/rules.ts";
import { shape, type Shape } from "../options/shape.ts";

/** What a resource may take where its settings do not say otherwise, in ms. */
export const RESOURCE_TIMEOUTS = { startTimeoutMs: 15_000, drainTimeoutMs: 10_000, stopTimeoutMs: 5_000 } as const;

/** What every manager takes besides its own options. */
export interface ManagerContext {
  /** Name of the resource in errors, stats and events. Default: the kind of the driver. */
  readonly name?: string | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
  /** Longest start, in ms. Default 15,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Longest drain, in ms. Default 10,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Longest stop, in ms. Default 5,000. */
  readonly stopTimeoutMs?: number | undefined;
  /** Longest probe, in ms. Default 1,000. */
  readonly probeTimeoutMs?: number | undefined;
}

/** What the context of a manager must be. */
export const contextShape: Shape<ManagerContext> = /* @__PURE__ */ shape<ManagerContext>(() => ({
  name: text(),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
  startTimeoutMs: milliseconds(),
  drainTimeoutMs: milliseconds(0),
  stopTimeoutMs: milliseconds(0),
  probeTimeoutMs: milliseconds(),
}));
