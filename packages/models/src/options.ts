import type { BreakerOptions } from "@steward/core";
import { breakerSchema, countSchema, givenSchema, hasMethods, msSchema, textSchema } from "@steward/core/driver";
import * as v from "valibot";
import type { ModelSource } from "./catalog/source.ts";
import { isWebUrl } from "./protocol/fetch.ts";
import type { Compute, Device } from "./engine/engine.ts";
import type { Golden } from "./serving/golden.ts";
import type { BatchAxes } from "./serving/signature.ts";

/** How models are run: of one, and of all in a catalog. */
export interface ServingOptions {
  /** Engine: the name of its package, or the URL of a module with its API. Default `onnxruntime-node`; `onnxruntime-web` runs everywhere, slower. */
  readonly engine?: string | URL | undefined;
  /** `thread`: a worker thread. `process`: a process of its own, which a crash of the engine ends alone, and which can be cut off. Default `thread`. */
  readonly isolation?: "thread" | "process" | undefined;
  /** Engines that hold the model, each in a thread or process of its own. Default 1. */
  readonly workers?: number | undefined;
  /** Threads that one run uses. Default 1: several runs at once use the cores better. */
  readonly threads?: number | undefined;
  /** `auto`: the first of the machine's devices that gives the golden outputs. `stats().device` says which. Default `auto`. */
  readonly device?: Device | "auto" | undefined;
  /** Which of the variants; `auto`: the fastest whose outputs are within `tolerance`. Default `auto`. */
  readonly precision?: string | undefined;
  /** Largest error of a variant against the first one: a difference, as a share of the largest value where that is above 1. Default 0.01. */
  readonly tolerance?: number | undefined;
  /** Most rows of one run. Default 64. */
  readonly maxBatch?: number | undefined;
  /** How long the first caller waits for others although the engine is free, in ms. Default 0. */
  readonly waitMs?: number | undefined;
  /** Most rows that wait; what is more is refused with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Longest call, time in the queue included, in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest run in a process, in ms; then that process is ended. Runs in a thread cannot be cut off. Default 30,000. */
  readonly runTimeoutMs?: number | undefined;
  /** A circuit breaker, or `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
}

/** Options of a {@link ModelManager}. `undefined` means the default. */
export interface ModelOptions extends ServingOptions {
  /** Where the model is. This, `variants` or `compute` has to be given. */
  readonly source?: ModelSource | undefined;
  /** The same model in several precisions, by a name such as `fp32` or `int8`; the first is what others are compared with. */
  readonly variants?: Readonly<Record<string, ModelSource>> | undefined;
  /** A function of yours in the place of a file and an engine. It runs in this thread. */
  readonly compute?: Compute | undefined;
  /** Which dimension of an input or output counts rows; `null`: none. Default: the first one, where the model does not fix its size. */
  readonly batchAxes?: BatchAxes | undefined;
  /** Inputs whose outputs are known: what is served has to give them, at the start and with every probe. Default: zeros, whose output is not looked at. */
  readonly golden?: readonly Golden[] | undefined;
}

/** Checked options: with all defaults. What is not ours to freeze is behind functions. */
export interface CheckedOptions {
  readonly engine: string;
  readonly isolation: "thread" | "process";
  readonly workers: number;
  readonly threads: number;
  readonly device: Device | "auto";
  readonly precision: string;
  readonly tolerance: number;
  readonly maxBatch: number;
  readonly waitMs: number;
  readonly maxPending: number;
  readonly timeoutMs: number;
  readonly runTimeoutMs: number;
  readonly breaker: BreakerOptions | false;
  readonly source?: (() => ModelSource) | undefined;
  readonly variants?: (() => Readonly<Record<string, ModelSource>>) | undefined;
  readonly compute?: (() => Compute) | undefined;
  readonly batchAxes?: BatchAxes | undefined;
  readonly golden?: (() => readonly Golden[]) | undefined;
}

/** Something that is kept as it is: frozen deeply, arrays of numbers would throw. */
function kept<T>(is: (value: unknown) => boolean, what: string): v.GenericSchema<unknown, () => T> {
  return v.pipe(
    givenSchema<T>(is, what),
    v.transform((value) => () => value),
  );
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const SHA256 = /^[0-9a-fA-F]{64}$/;

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

function isSource(value: unknown): boolean {
  if (!isObject(value)) return false;
  if (value["url"] !== undefined) return isUrlSource(value);
  const { file, bytes, folder, version, sha256, ...rest } = value;
  if (Object.keys(rest).length > 0 || [file, bytes, folder].filter((given) => given !== undefined).length !== 1)
    return false;
  if (folder === undefined) {
    const isSum = sha256 === undefined || (typeof sha256 === "string" && SHA256.test(sha256));
    return isSum && version === undefined && (isText(file) || bytes instanceof Uint8Array);
  }
  const isVersion =
    version === undefined || version === "latest" || (Number.isSafeInteger(version) && Number(version) >= 1);
  return isText(folder) && isVersion && sha256 === undefined;
}

/** What comes from elsewhere has to have its checksum. */
function isUrlSource({ url, sha256, cache, fetch, maxBytes, ...rest }: Fields): boolean {
  const isSum = typeof sha256 === "string" && SHA256.test(sha256);
  const isBound = maxBytes === undefined || (Number.isSafeInteger(maxBytes) && Number(maxBytes) >= 1);
  const isFetch = fetch === undefined || typeof fetch === "function";
  return isWebUrl(url) && isSum && isText(cache) && isBound && isFetch && Object.keys(rest).length === 0;
}

const SOURCE =
  "{ file, sha256? }, { bytes, sha256? }, { folder, version? } or { url, sha256, cache, fetch?, maxBytes? }, the sha256 as 64 hex digits";

function isGolden(value: unknown): boolean {
  if (!isObject(value) || !isObject(value["input"])) return false;
  const { input: _input, output, tolerance, ...rest } = value;
  const isTolerance = tolerance === undefined || (typeof tolerance === "number" && tolerance >= 0);
  return Object.keys(rest).length === 0 && isTolerance && (output === undefined || isObject(output));
}

const isAxis = (value: unknown): boolean => value === null || (Number.isSafeInteger(value) && Number(value) >= 0);

const servingEntries = {
  engine: v.optional(
    v.pipe(
      givenSchema<string | URL>(
        (value) => isText(value) || value instanceof URL,
        "the name of a package, or the URL of a module",
      ),
      v.transform(String),
    ),
    "onnxruntime-node",
  ),
  isolation: v.optional(v.picklist(["thread", "process"]), "thread"),
  workers: v.optional(countSchema(1, 256), 1),
  threads: v.optional(countSchema(1, 256), 1),
  device: v.optional(v.picklist(["auto", "cpu", "cuda", "webgpu", "coreml", "directml"]), "auto"),
  precision: v.optional(textSchema(), "auto"),
  tolerance: v.optional(v.pipe(v.number(), v.minValue(0, "must be at least 0")), 0.01),
  maxBatch: v.optional(countSchema(1, 65_536), 64),
  waitMs: v.optional(msSchema(0), 0),
  maxPending: v.optional(countSchema(0), 1_000),
  timeoutMs: v.optional(msSchema(), 30_000),
  runTimeoutMs: v.optional(msSchema(), 30_000),
  breaker: v.optional(breakerSchema(), {}),
};

const entries = {
  ...servingEntries,
  source: v.optional(kept<ModelSource>(isSource, SOURCE)),
  variants: v.optional(
    kept<Readonly<Record<string, ModelSource>>>(
      (value) =>
        isObject(value) &&
        Object.keys(value).length > 0 &&
        Object.values(value).every((each) => isSource(each) && !Object.hasOwn(Object(each), "folder")),
      `an object of ${SOURCE}, no folders`,
    ),
  ),
  compute: v.optional(
    kept<Compute>(
      (value) =>
        hasMethods(value, "run") &&
        isObject(value) &&
        Array.isArray(value["inputs"]) &&
        Array.isArray(value["outputs"]),
      "an object with inputs, outputs and run",
    ),
  ),
  batchAxes: v.optional(
    givenSchema<BatchAxes>(
      (value) => isObject(value) && Object.values(value).every(isAxis),
      "an object of dimensions, or null, by name",
    ),
  ),
  golden: v.optional(
    kept<readonly Golden[]>(
      (value) => Array.isArray(value) && value.every(isGolden),
      "a list of { input, output?, tolerance? }",
    ),
  ),
};

/** What the options of a model must be. */
export const modelSchema: v.GenericSchema<unknown, CheckedOptions> = v.pipe(
  v.strictObject(entries),
  v.forward(
    v.check(
      ({ source, variants, compute }) =>
        [source, variants, compute].filter((given) => given !== undefined).length === 1,
      "give exactly one of source, variants and compute: where the model is",
    ),
    ["source"],
  ),
);

/** Options of a {@link CatalogManager}. `undefined` means the default. Those of serving hold for each model. */
export interface CatalogOptions extends ServingOptions {
  /** A folder with a folder for each model: `<folder>/<name>/<version>/model.onnx`. */
  readonly folder: string;
  /** Most bytes of model files that are loaded at once, each counted for each of its workers. */
  readonly budgetBytes: number;
  /** What each model is loaded with in the place of an engine: for tests. Default: its file. */
  readonly compute?: Compute | undefined;
}

/** Checked options of a catalog. */
export interface CheckedCatalog extends Omit<CheckedOptions, "source" | "variants" | "batchAxes" | "golden"> {
  readonly folder: string;
  readonly budgetBytes: number;
}

/** What the options of a catalog must be. */
export const catalogSchema: v.GenericSchema<unknown, CheckedCatalog> = v.strictObject({
  ...servingEntries,
  folder: givenSchema<string>(isText, "the path of a folder"),
  budgetBytes: countSchema(1),
  compute: entries.compute,
});
