import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import * as v from "valibot";
import { defineDriver, type DriverFactory } from "../lifecycle/driver.ts";
import type { ManagerContext } from "../lifecycle/manager-context.ts";
import { countSchema, shareSchema } from "../options/atoms.ts";
import { checkOptions, type OptionsSchema } from "../options/schema.ts";
import type { MetricSample } from "../ports/metrics.ts";
import { bytesText, percentText, type Limited } from "./limits.ts";
import { LocalCheck, type Measured } from "./local-check.ts";
import { ordered } from "./options.ts";

/** How much memory this process may use. */
export interface MemoryUseOptions {
  /** Unhealthy above this resident memory, in bytes. Default none. */
  readonly maxRssBytes?: number | undefined;
  /** Degraded above this. Default: 0.9 of `maxRssBytes`. */
  readonly warnRssBytes?: number | undefined;
  /** Unhealthy above this share of the memory that there is for the process, above 0 to 1. Default 0.95. */
  readonly maxShare?: number | undefined;
  /** Degraded above this share. Default: 0.9 of `maxShare`. */
  readonly warnShare?: number | undefined;
  /** Unhealthy above this share of the heap that V8 allows (`--max-old-space-size`), above 0 to 1. Default 0.95. */
  readonly maxHeapShare?: number | undefined;
  /** Degraded above this share. Default: 0.9 of `maxHeapShare`. */
  readonly warnHeapShare?: number | undefined;
}

/** What this process uses. */
export interface MemoryReading {
  /** Resident memory. */
  readonly rssBytes: number;
  /** What there is for the process: the limit of its container where one is set, or the memory of the machine. */
  readonly limitBytes: number;
  /** Resident memory over the limit. */
  readonly share: number;
  readonly heapBytes: number;
  /** The heap at which V8 ends the process. */
  readonly heapLimitBytes: number;
  /** Heap over its limit. */
  readonly heapShare: number;
}

const MAX_SHARE = 0.95;
/** A default warning, as a share of its limit. */
const WARNING = 0.9;

const memoryUseSchema: OptionsSchema<MemoryUseOptions> = /* @__PURE__ */ ordered<MemoryUseOptions>(
  {
    maxRssBytes: v.optional(countSchema(1)),
    warnRssBytes: v.optional(countSchema(1)),
    maxShare: v.optional(shareSchema()),
    warnShare: v.optional(shareSchema()),
    maxHeapShare: v.optional(shareSchema()),
    warnHeapShare: v.optional(shareSchema()),
  },
  { lower: "warnRssBytes", upper: "maxRssBytes", at: "lower" },
  { lower: "warnShare", upper: "maxShare", at: "lower" },
  { lower: "warnHeapShare", upper: "maxHeapShare", at: "lower" },
);

/**
 * Watches how much memory this process uses.
 *
 * @example
 * ```ts
 * import { MemoryUseManager } from "@steward/core/checks";
 * await using memory = await new MemoryUseManager({ maxShare: 0.9 }).start();
 * console.log(memory.client.latest.share < 0.9); // => true
 * ```
 */
export class MemoryUseManager extends LocalCheck<MemoryReading> {
  readonly #options: MemoryUseOptions;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: MemoryUseOptions = {}, context: ManagerContext = {}) {
    super("memory", context);
    this.#options = checkOptions(this.name, memoryUseSchema, options);
  }

  protected override measureNow(): MemoryReading {
    const rssBytes = process.memoryUsage.rss();
    const limitBytes = memoryLimit(process.constrainedMemory(), totalmem());
    const { used_heap_size: heapBytes, heap_size_limit: heapLimitBytes } = getHeapStatistics();
    return Object.freeze({
      rssBytes,
      limitBytes,
      share: rssBytes / limitBytes,
      heapBytes,
      heapLimitBytes,
      heapShare: heapBytes / heapLimitBytes,
    });
  }

  protected override limited(reading: MemoryReading): readonly Limited[] {
    const { rssBytes, limitBytes, share, heapLimitBytes, heapShare } = reading;
    const { maxRssBytes, warnRssBytes } = this.#options;
    const { maxShare = MAX_SHARE, maxHeapShare = MAX_SHARE } = this.#options;
    const { warnShare = maxShare * WARNING, warnHeapShare = maxHeapShare * WARNING } = this.#options;
    return [
      {
        value: rssBytes,
        bound: "most",
        limit: maxRssBytes,
        warning: warnRssBytes ?? (maxRssBytes === undefined ? undefined : maxRssBytes * WARNING),
        what: `${bytesText(rssBytes)} resident`,
        show: bytesText,
      },
      {
        value: share,
        bound: "most",
        limit: maxShare,
        warning: warnShare,
        what: `${percentText(share)} of ${bytesText(limitBytes)} of memory`,
        show: percentText,
      },
      {
        value: heapShare,
        bound: "most",
        limit: maxHeapShare,
        warning: warnHeapShare,
        what: `${percentText(heapShare)} of ${bytesText(heapLimitBytes)} of heap (--max-old-space-size)`,
        show: percentText,
      },
    ];
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { reading } = this;
    if (reading === undefined) return;
    const { rssBytes, limitBytes, heapBytes, heapLimitBytes } = reading;
    yield { name: "process.memory.usage", kind: "gauge", unit: "By", attributes, value: rssBytes };
    yield { name: "steward.memory.limit", kind: "gauge", unit: "By", attributes, value: limitBytes };
    yield { name: "steward.heap.usage", kind: "gauge", unit: "By", attributes, value: heapBytes };
    yield { name: "steward.heap.limit", kind: "gauge", unit: "By", attributes, value: heapLimitBytes };
  }
}

/**
 * The memory that there is for a process. Where no limit is set, Node gives 0 or about 2^64 as the constrained memory.
 * @param constrained What the process is held to, in bytes.
 * @param total What the machine has, in bytes.
 */
export function memoryLimit(constrained: number, total: number): number {
  return constrained > 0 && constrained <= total ? constrained : total;
}

/**
 * Defines a check of the memory of this process: of what its container or machine has, and of the heap that V8 allows.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { memoryUse } from "@steward/core/checks";
 * const memory = memoryUse("memory", { maxShare: 0.9 }); // a resource like any other: container([memory])
 * console.log(memory.name); // => memory
 * ```
 */
export const memoryUse: DriverFactory<MemoryUseOptions, Measured<MemoryReading>> = /* @__PURE__ */ defineDriver<
  MemoryUseOptions,
  Measured<MemoryReading>
>({
  kind: "memory",
  schema: memoryUseSchema,
  settings: { readiness: "gate" },
  create: (options, context) => new MemoryUseManager(options, context),
});
