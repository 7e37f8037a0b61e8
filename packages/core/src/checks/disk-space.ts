import { statfs } from "node:fs/promises";
import * as v from "valibot";
import { describeError, StewardError } from "../errors.ts";
import { defineDriver, type DriverFactory } from "../lifecycle/driver.ts";
import type { ManagerContext } from "../lifecycle/manager-context.ts";
import { countSchema, givenSchema, shareSchema } from "../options/atoms.ts";
import { checkOptions, type OptionsSchema } from "../options/schema.ts";
import type { MetricSample } from "../ports/metrics.ts";
import { bytesText, percentText, type Limited } from "./limits.ts";
import { LocalCheck, type Measured } from "./local-check.ts";
import { ordered } from "./options.ts";

/** How much room a disk must have. */
export interface DiskSpaceOptions {
  /** A file or folder on the disk. */
  readonly path: string;
  /** Unhealthy below this many free bytes. Default none. */
  readonly minFreeBytes?: number | undefined;
  /** Degraded below this many. Default: twice `minFreeBytes`. */
  readonly warnFreeBytes?: number | undefined;
  /** Unhealthy below this share of the disk that is free, 0 to 1. Default 0.05, or none where `minFreeBytes` is given. */
  readonly minFreeShare?: number | undefined;
  /** Degraded below this share. Default: twice `minFreeShare`, at most the middle between it and 1. */
  readonly warnFreeShare?: number | undefined;
  /** Unhealthy with fewer free inodes: each file takes one. 0 for no limit, as on disks that do not count them. Default 1,000. */
  readonly minFreeInodes?: number | undefined;
}

/** The room of a disk, as processes without privileges have it. */
export interface DiskReading {
  readonly path: string;
  readonly freeBytes: number;
  /** What is used and what is free, without what only root may use. */
  readonly totalBytes: number;
  /** Free of that total, 0 to 1; the complement of what `df` shows. */
  readonly freeShare: number;
  /** `undefined` where the disk does not count them. */
  readonly freeInodes: number | undefined;
}

const MIN_FREE_SHARE = 0.05;
const MIN_FREE_INODES = 1_000;

const path = givenSchema<string>(
  (given) => typeof given === "string" && given !== "" && !given.includes("\0"),
  "the path of a file or folder",
);

const diskSpaceSchema: OptionsSchema<DiskSpaceOptions> = /* @__PURE__ */ ordered<DiskSpaceOptions>(
  {
    path,
    minFreeBytes: v.optional(countSchema(0)),
    warnFreeBytes: v.optional(countSchema(0)),
    minFreeShare: v.optional(shareSchema(true)),
    warnFreeShare: v.optional(shareSchema(true)),
    minFreeInodes: v.optional(countSchema(0)),
  },
  { lower: "minFreeBytes", upper: "warnFreeBytes", at: "upper" },
  { lower: "minFreeShare", upper: "warnFreeShare", at: "upper" },
);

/**
 * Watches how much room a disk has.
 *
 * @example
 * ```ts
 * import { DiskSpaceManager } from "@steward/core/checks";
 * await using disk = await new DiskSpaceManager({ path: "/tmp", minFreeBytes: 1_000 }).start();
 * console.log(disk.client.latest.freeBytes > 1_000); // => true
 * ```
 */
export class DiskSpaceManager extends LocalCheck<DiskReading> {
  readonly #options: DiskSpaceOptions;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: DiskSpaceOptions, context: ManagerContext = {}) {
    super("disk", context);
    this.#options = checkOptions(this.name, diskSpaceSchema, options);
  }

  /** @throws {MEASURE_FAILED} when there is no such path, or its disk has no size. */
  protected override async measureNow(): Promise<DiskReading> {
    const { path } = this.#options;
    const found = await statfs(path).catch((error: unknown) => {
      throw this.#failed(describeError(error), error);
    });
    const { bsize, blocks, bfree, bavail, files, ffree } = found;
    const total = blocks - bfree + bavail;
    if (total <= 0) throw this.#failed("its filesystem has no size of its own");
    const freeInodes = files > 0 ? ffree : undefined;
    return Object.freeze({
      path,
      freeBytes: bavail * bsize,
      totalBytes: total * bsize,
      freeShare: bavail / total,
      freeInodes,
    });
  }

  protected override limited({ path, freeBytes, freeShare, freeInodes }: DiskReading): readonly Limited[] {
    const { minFreeBytes, warnFreeBytes, minFreeInodes = MIN_FREE_INODES } = this.#options;
    const { minFreeShare = minFreeBytes === undefined ? MIN_FREE_SHARE : undefined, warnFreeShare } = this.#options;
    const bytes: Limited = {
      value: freeBytes,
      bound: "least",
      limit: minFreeBytes,
      warning: warnFreeBytes ?? (minFreeBytes === undefined ? undefined : minFreeBytes * 2),
      what: `${bytesText(freeBytes)} free on ${path}`,
      show: bytesText,
    };
    const share: Limited = {
      value: freeShare,
      bound: "least",
      limit: minFreeShare,
      warning: warnFreeShare ?? (minFreeShare === undefined ? undefined : usualWarning(minFreeShare)),
      what: `${percentText(freeShare)} of ${path} free`,
      show: percentText,
    };
    if (freeInodes === undefined) return [bytes, share];
    const what = `${freeInodes} inodes free on ${path}`;
    return [
      bytes,
      share,
      { value: freeInodes, bound: "least", limit: minFreeInodes, warning: undefined, what, show: String },
    ];
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { reading } = this;
    if (reading === undefined) return;
    const { freeBytes, totalBytes, freeInodes } = reading;
    const usage = { name: "system.filesystem.usage", kind: "gauge", unit: "By" } as const;
    const stated = (state: string) => ({ ...attributes, "system.filesystem.state": state });
    yield { ...usage, attributes: stated("free"), value: freeBytes };
    yield { ...usage, attributes: stated("used"), value: totalBytes - freeBytes };
    if (freeInodes !== undefined)
      yield { name: "steward.filesystem.free_inodes", kind: "gauge", unit: "{inode}", attributes, value: freeInodes };
  }

  #failed(why: string, cause?: unknown): StewardError {
    const message = `${this.name}: cannot measure the free space of ${this.#options.path}: ${why}`;
    return new StewardError("MEASURE_FAILED", message, { resource: this.name, retryable: true, cause });
  }
}

function usualWarning(minFreeShare: number): number {
  return Math.min(minFreeShare * 2, (1 + minFreeShare) / 2);
}

/**
 * Defines a check of the room on a disk, for services that write files. It counts what processes without privileges can
 * have, and inodes too: a disk that has none left takes no file, however many bytes are free.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { diskSpace } from "@steward/core/checks";
 * const disk = diskSpace("disk", { path: "/tmp", minFreeBytes: 1_000 }); // a resource like any other: container([disk])
 * console.log(disk.name); // => disk
 * ```
 */
export const diskSpace: DriverFactory<DiskSpaceOptions, Measured<DiskReading>> = /* @__PURE__ */ defineDriver<
  DiskSpaceOptions,
  Measured<DiskReading>
>({
  kind: "disk",
  schema: diskSpaceSchema,
  settings: { readiness: "gate" },
  create: (options, context) => new DiskSpaceManager(options, context),
});
