import {
  countSchema,
  func,
  givenSchema,
  milliseconds,
  recognised,
  required,
  shape,
  signal,
  text,
  wholeNumber,
  type Shape,
} from "@steward/core/driver";
import * as v from "valibot";
import { accumulateShape, type AccumulateOptions } from "./gradients/accumulator.ts";
import { optimizerShape, type OptimizerOptions } from "./gradients/optimizer.ts";
import type { Metrics } from "./runs/lines.ts";

/** Options of a {@link TrainerManager}. */
export interface TrainerOptions {
  /** The module whose export `network` is trained, as `new URL("./net.js", import.meta.url)`. Only workers load it. */
  readonly module: URL;
  /** Threads that share each step. 1 to 64; default 1. */
  readonly workers?: number | undefined;
  /** Longest start of a worker, its module's imports included, in ms. Default 30,000. */
  readonly workerStartTimeoutMs?: number | undefined;
}

/** What the options of a trainer must be. */
export const trainerSchema: v.GenericSchema<unknown, TrainerOptions> = v.strictObject({
  module: givenSchema<URL>(isFileUrl, 'a file: URL, as new URL("./net.js", import.meta.url)'),
  workers: v.optional(countSchema(1, 64)),
  workerStartTimeoutMs: v.optional(countSchema(1, 600_000)),
});

function isFileUrl(value: unknown): boolean {
  return value instanceof URL && value.protocol === "file:";
}

/** Rows to learn from. Numbers in shared memory are used as they are, others are copied once. */
export interface TrainingData {
  /** How many rows. */
  readonly rows: number;
  /** The inputs of all rows, behind one another. */
  readonly inputs: Float32Array;
  /** What should come out, row behind row. */
  readonly targets: Float32Array;
}

/** Where a fit keeps what it needs to go on after a kill. */
export interface CheckpointOptions {
  /** Where the files are; it is made where it is missing. One fit, one folder. */
  readonly folder: string;
  /** Steps between checkpoints. Default: only `everyMs` counts. */
  readonly everySteps?: number | undefined;
  /** Time between checkpoints, in ms. Default 30,000. */
  readonly everyMs?: number | undefined;
  /** How many are kept. 1 to 1,000; default 3. */
  readonly keep?: number | undefined;
}

/** How a network is trained. */
export interface FitOptions {
  /** How often all rows are seen. Default 1. */
  readonly epochs?: number | undefined;
  /** Rows of a batch, over all workers. Default 32. */
  readonly batchRows?: number | undefined;
  /** How batches become steps. Default: each batch is one. */
  readonly accumulate?: AccumulateOptions | undefined;
  /** How weights follow gradients. Default `{ type: "adam" }`. */
  readonly optimizer?: OptimizerOptions | undefined;
  /** Where all chance comes from: first weights and the order of rows. Default 0. */
  readonly seed?: number | undefined;
  /** Makes it survive a kill: the next fit with the same options and folder goes on. Default: none. */
  readonly checkpoint?: CheckpointOptions | undefined;
  /** Called after each step, and waited for: `run.step` of a run log. */
  readonly onStep?: ((step: number, metrics: Metrics) => Promise<void> | void) | undefined;
  /** Called after each checkpoint, and waited for: `run.checkpoint` of a run log. */
  readonly onCheckpoint?: ((step: number) => Promise<void> | void) | undefined;
  /** Called once before the first step, with the steps that a checkpoint has saved. */
  readonly onBegin?: ((begin: { readonly step: number; readonly steps: number }) => Promise<void> | void) | undefined;
  /** Ends it after the step at work, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
}

const checkpointShape: Shape<CheckpointOptions> = /* @__PURE__ */ shape<CheckpointOptions>(() => ({
  folder: required(text()),
  everySteps: wholeNumber(1),
  everyMs: milliseconds(1),
  keep: wholeNumber(1, 1_000),
}));

/** What the options of a fit must be. */
export const fitShape: Shape<FitOptions> = /* @__PURE__ */ shape<FitOptions>(() => ({
  epochs: wholeNumber(1),
  batchRows: wholeNumber(1),
  accumulate: accumulateShape,
  optimizer: optimizerShape,
  seed: wholeNumber(0, 4_294_967_295),
  checkpoint: checkpointShape,
  onStep: func(),
  onCheckpoint: func(),
  onBegin: func(),
  signal: signal(),
}));

/** What data must be, in its types; whether the lengths fit is seen afterwards. */
export const dataShape: Shape<TrainingData> = /* @__PURE__ */ shape<TrainingData>(() => ({
  rows: required(wholeNumber(1)),
  inputs: required(recognised((value) => value instanceof Float32Array, "a Float32Array")),
  targets: required(recognised((value) => value instanceof Float32Array, "a Float32Array")),
}));
