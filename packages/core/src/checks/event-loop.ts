import { monitorEventLoopDelay, performance, type IntervalHistogram } from "node:perf_hooks";
import * as v from "valibot";
import type { Trouble } from "../definition/spec.ts";
import { defineDriver, type DriverFactory } from "../lifecycle/driver.ts";
import type { ManagerContext } from "../lifecycle/manager-context.ts";
import { msSchema } from "../options/atoms.ts";
import { checkOptions, type OptionsSchema } from "../options/schema.ts";
import type { MetricSample } from "../ports/metrics.ts";
import type { Limited } from "./limits.ts";
import { LocalCheck, type Measured } from "./local-check.ts";
import { ordered } from "./options.ts";

/** How late the event loop may be. */
export interface EventLoopOptions {
  /** Unhealthy when the 99th percentile of the delay is above this, in ms. Default 1,000. */
  readonly maxDelayMs?: number | undefined;
  /** Degraded when it is above this, or when the loop stood still once for more than `maxDelayMs`. Default: a fifth of `maxDelayMs`. */
  readonly warnDelayMs?: number | undefined;
}

/** How late timers ran since the last but one probe, and how busy the loop was since the last one. */
export interface EventLoopReading {
  /** Median of the delay, in ms. */
  readonly p50Ms: number;
  /** 99th percentile of the delay, in ms. */
  readonly p99Ms: number;
  /** Longest delay, in ms. */
  readonly maxMs: number;
  /** Share of the time in which the loop was busy, 0 to 1. */
  readonly utilisation: number;
}

const MAX_DELAY_MS = 1_000;
/** How often Node looks at the delay, in ms. Its numbers include this. */
const RESOLUTION_MS = 20;

const eventLoopSchema: OptionsSchema<EventLoopOptions> = /* @__PURE__ */ ordered<EventLoopOptions>(
  { maxDelayMs: v.optional(msSchema()), warnDelayMs: v.optional(msSchema()) },
  { lower: "warnDelayMs", upper: "maxDelayMs", at: "lower" },
);

/**
 * Watches how late the event loop of this process is.
 *
 * @example
 * ```ts
 * import { EventLoopManager } from "@steward/core/checks";
 * await using loop = await new EventLoopManager({ maxDelayMs: 500 }).start();
 * console.log(loop.client.latest.p99Ms < 500); // => true
 * ```
 */
export class EventLoopManager extends LocalCheck<EventLoopReading> {
  readonly #maxDelayMs: number;
  readonly #warnDelayMs: number;
  #delays: Delays | undefined;
  #busySince = performance.eventLoopUtilization();

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: EventLoopOptions = {}, context: ManagerContext = {}) {
    super("event-loop", context);
    const { maxDelayMs = MAX_DELAY_MS, warnDelayMs } = checkOptions(this.name, eventLoopSchema, options);
    this.#maxDelayMs = maxDelayMs;
    this.#warnDelayMs = warnDelayMs ?? maxDelayMs / 5;
  }

  protected override async onStart(): Promise<void> {
    this.#delays ??= new Delays();
    await super.onStart();
  }

  protected override onStop(): void {
    this.#delays?.stop();
    this.#delays = undefined;
  }

  protected override measureNow(): EventLoopReading {
    const { utilization } = performance.eventLoopUtilization(this.#busySince);
    this.#busySince = performance.eventLoopUtilization();
    return Object.freeze({ ...(this.#delays?.take() ?? NONE), utilisation: utilization });
  }

  override get trouble(): Trouble | undefined {
    const { maxMs = 0 } = this.reading ?? {};
    const stood = maxMs > this.#maxDelayMs ? `it stood still for ${Math.round(maxMs)} ms` : undefined;
    return super.trouble ?? (stood === undefined ? undefined : { status: "degraded", reason: stood });
  }

  protected override limited({ p99Ms }: EventLoopReading): readonly Limited[] {
    return [
      {
        value: p99Ms,
        bound: "most",
        limit: this.#maxDelayMs,
        warning: this.#warnDelayMs,
        what: `1 % of timers are ${Math.round(p99Ms)} ms late or more`,
        show: (limit) => `${Math.round(limit)} ms`,
      },
    ];
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { reading } = this;
    if (reading === undefined) return;
    const { p50Ms, p99Ms, maxMs, utilisation } = reading;
    const delay = { unit: "s", attributes } as const;
    yield { name: "nodejs.eventloop.delay.p50", ...delay, kind: "gauge", value: p50Ms / 1_000 };
    yield { name: "nodejs.eventloop.delay.p99", ...delay, kind: "gauge", value: p99Ms / 1_000 };
    yield { name: "nodejs.eventloop.delay.max", ...delay, kind: "gauge", value: maxMs / 1_000 };
    yield { name: "nodejs.eventloop.utilization", kind: "gauge", unit: "1", attributes, value: utilisation };
  }
}

const NONE: Omit<EventLoopReading, "utilisation"> = { p50Ms: 0, p99Ms: 0, maxMs: 0 };

/**
 * The delays of the event loop since the last but one reading. Node does not record the delay during which a histogram
 * was reset, so there are two, and each is read while the other goes on: no delay is lost between them.
 */
class Delays {
  #older = started();
  #newer = started();

  take(): Omit<EventLoopReading, "utilisation"> {
    const histogram = this.#older;
    const reading =
      histogram.count === 0
        ? NONE
        : {
            p50Ms: delayMs(histogram.percentile(50)),
            p99Ms: delayMs(histogram.percentile(99)),
            maxMs: delayMs(histogram.max),
          };
    histogram.reset();
    [this.#older, this.#newer] = [this.#newer, histogram];
    return reading;
  }

  stop(): void {
    this.#older.disable();
    this.#newer.disable();
  }
}

function started(): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return histogram;
}

function delayMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
}

/**
 * Defines a check of the event loop: whether work that never waits (a long loop, a synchronous call, a huge JSON) holds
 * up everything else in this process. The measuring is Node's own, outside of JavaScript, and keeps no process alive.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { eventLoop } from "@steward/core/checks";
 * const loop = eventLoop("loop", { maxDelayMs: 500 }); // a resource like any other: container([loop])
 * console.log(loop.name); // => loop
 * ```
 */
export const eventLoop: DriverFactory<EventLoopOptions, Measured<EventLoopReading>> = /* @__PURE__ */ defineDriver<
  EventLoopOptions,
  Measured<EventLoopReading>
>({
  kind: "event-loop",
  schema: eventLoopSchema,
  settings: { readiness: "gate" },
  create: (options, context) => new EventLoopManager(options, context),
});
