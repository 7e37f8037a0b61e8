import { createHash, webcrypto } from "node:crypto";
import { StewardError, type Clock } from "@steward/core";
import { layoutOf, initialise, type Layout, type Parameters } from "../gradients/parameters.ts";
import { optimizerOf, type OptimizerOptions } from "../gradients/optimizer.ts";
import { trainingError } from "../errors.ts";
import type { FitOptions, TrainingData } from "../options.ts";
import { CheckpointFolder, type Checkpoint } from "../runs/checkpoints.ts";
import type { Lane } from "./lane.ts";
import { stepsPerEpoch, type FitMemory, type ShardPlan } from "./shard.ts";

/** What a fit has made. */
export interface FitResult {
  /** The weights, by the names of the parameters. */
  readonly parameters: Parameters;
  /** Steps in all, those before a resume included. */
  readonly steps: number;
  /** Steps that a checkpoint had saved. */
  readonly resumedAt: number;
  /** Mean loss of the last step; NaN where its batches were all left out. */
  readonly loss: number;
  /** Batches of this call that were left out, each by each worker. */
  readonly skipped: number;
}

/** What a fit needs besides its options. */
export interface FitParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly lanes: readonly Lane[];
  readonly data: TrainingData;
  readonly options: FitOptions;
  /** Called after each step. */
  readonly onLoss: (loss: number) => void;
  /** Why it has to end, if it has to. */
  readonly ending: () => StewardError | undefined;
}

const CHECKPOINT_MS = 30_000;
const KEEP = 3;
const ADAM: OptimizerOptions = { type: "adam" };

function shared(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
}

function inShared(values: Float32Array): Float32Array {
  if (values.buffer instanceof SharedArrayBuffer) return values;
  const copy = shared(values.length);
  copy.set(values);
  return copy;
}

/** Numbers that are hashed at once: 4 MB. */
const PIECE = 1_048_576;

/** Differs where numbers differ; worked out beside this thread. */
async function digestOf(values: Float32Array): Promise<string> {
  const hash = createHash("sha256");
  for (let from = 0; from < values.length; from += PIECE) {
    // A copy: what is shared with workers cannot be hashed.
    const piece = values.slice(from, from + PIECE);
    hash.update(new Uint8Array(await webcrypto.subtle.digest("SHA-256", piece)));
  }
  return hash.digest("hex");
}

/** One training: the same steps in the same order, whatever the number of kills in between. */
export class Fit {
  readonly #parts: FitParts;
  readonly #checkpoints: CheckpointFolder | undefined;
  readonly #plan: Omit<ShardPlan, "index">;
  readonly #layout: Layout;
  readonly #facts: readonly unknown[];
  readonly #steps: number;
  #signature = "";
  #step = 0;
  #applied = 0;
  #savedStep = -1;
  #savedAt: number;
  #loss = Number.NaN;
  #skipped = 0;

  private constructor(parts: FitParts, layout: Layout) {
    const { data, options, lanes, clock } = parts;
    const { optimizer = ADAM, accumulate = {}, seed = 0, batchRows = 32, epochs = 1, checkpoint } = options;
    this.#parts = parts;
    this.#layout = layout;
    this.#checkpoints = checkpoint && new CheckpointFolder(checkpoint.folder, checkpoint.keep ?? KEEP);
    const memory: FitMemory = {
      inputs: inShared(data.inputs),
      targets: inShared(data.targets),
      weights: shared(layout.size),
      slots: optimizerOf(optimizer).slots.map(() => shared(layout.size)),
      gradients: lanes.map(() => shared(layout.size)),
      mean: new Float64Array(new SharedArrayBuffer(layout.size * Float64Array.BYTES_PER_ELEMENT)),
    };
    const { steps: batches = 1, skipNonFinite = false, clipNorm } = accumulate;
    const { rows } = data;
    this.#plan = { workers: lanes.length, memory, rows, batchRows, batches, skipNonFinite, seed, optimizer };
    this.#steps = epochs * stepsPerEpoch(this.#plan);
    this.#facts = [layout.parameters, optimizer, batches, clipNorm, skipNonFinite, seed, batchRows, rows];
    this.#savedAt = clock.now();
  }

  /** Trains to the end, or to where it is asked to end. */
  static async run(parts: FitParts): Promise<FitResult> {
    const [parameters] = await Promise.all(parts.lanes.map((lane) => lane.describe()));
    return new Fit(parts, layoutOf(parameters ?? [])).#run();
  }

  async #run(): Promise<FitResult> {
    const { lanes, options } = this.#parts;
    initialise(this.#layout, this.#plan.memory.weights, this.#plan.seed);
    if (this.#checkpoints !== undefined) {
      this.#signature = await this.#signed();
      const saved = await this.#checkpoints.latest();
      if (saved !== undefined) this.#restore(saved);
    }
    const resumedAt = this.#step;
    await Promise.all(lanes.map((lane, index) => lane.begin({ ...this.#plan, index })));
    await options.onBegin?.({ step: this.#step, steps: this.#steps });
    while (this.#step < this.#steps) {
      await this.#endIfAsked();
      await this.#next();
      if (this.#isCheckpointDue()) await this.#save();
    }
    await this.#save();
    const parameters = this.#layout.views(Float32Array.from(this.#plan.memory.weights));
    return { parameters, steps: this.#step, resumedAt, loss: this.#loss, skipped: this.#skipped };
  }

  /** What a checkpoint has to have in common with this fit. */
  async #signed(): Promise<string> {
    const { inputs, targets } = this.#plan.memory;
    const facts = [...this.#facts, await digestOf(inputs), await digestOf(targets)];
    return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
  }

  async #endIfAsked(): Promise<void> {
    const { ending, options, resource } = this.#parts;
    const stopped = ending();
    const { signal } = options;
    if (stopped === undefined && signal?.aborted !== true) return;
    await this.#save();
    if (stopped !== undefined) throw stopped;
    const message = `${resource}: the fit was given up after step ${this.#step} of ${this.#steps}`;
    throw new StewardError("CALL_ABORTED", message, { resource, cause: signal?.reason });
  }

  /** One step: every worker does one part before any begins the next. */
  async #next(): Promise<void> {
    const { lanes, options, clock, onLoss } = this.#parts;
    const began = clock.now();
    const found = await Promise.all(lanes.map((lane) => lane.gradients(this.#step)));
    const rows = found.map((each) => each.rows);
    const total = rows.reduce((sum, each) => sum + each, 0);
    const skipped = found.reduce((sum, each) => sum + each.skipped, 0);
    this.#skipped += skipped;
    this.#loss = found.reduce((sum, { loss, rows: own }) => sum + loss * own, 0) / total;
    const norm = total === 0 ? Number.NaN : await this.#update(rows);
    this.#step += 1;
    onLoss(this.#loss);
    const epoch = Math.ceil(this.#step / stepsPerEpoch(this.#plan));
    const durationMs = clock.now() - began;
    await options.onStep?.(this.#step, { loss: this.#loss, norm, epoch, rows: total, skipped, durationMs });
  }

  /** The mean of all workers, and the weights after it. @returns the length of the mean. */
  async #update(rows: readonly number[]): Promise<number> {
    const { lanes, options, resource } = this.#parts;
    const squares = await Promise.all(lanes.map((lane) => lane.reduce(rows)));
    const norm = Math.sqrt(squares.reduce((sum, each) => sum + each, 0));
    if (Number.isFinite(norm)) {
      const step = { norm, clipNorm: options.accumulate?.clipNorm, applied: this.#applied + 1 };
      await Promise.all(lanes.map((lane) => lane.apply(step)));
      this.#applied += 1;
    } else if (!this.#plan.skipNonFinite)
      throw trainingError("TRAINING_NOT_FINITE", `${resource}: the mean gradient is not finite`, { resource });
    return norm;
  }

  #isCheckpointDue(): boolean {
    const { everySteps, everyMs = CHECKPOINT_MS } = this.#parts.options.checkpoint ?? {};
    const isTime = this.#parts.clock.now() - this.#savedAt >= everyMs;
    return isTime || (everySteps !== undefined && this.#step % everySteps === 0);
  }

  async #save(): Promise<void> {
    if (this.#checkpoints === undefined || this.#savedStep === this.#step) return;
    const { weights, slots } = this.#plan.memory;
    const facts = { signature: this.#signature, applied: String(this.#applied), loss: String(this.#loss) };
    const named = slots.map((slot, i) => [`slot.${optimizerOf(this.#plan.optimizer).slots[i] ?? i}`, slot] as const);
    const arrays = { weights, ...Object.fromEntries(named) };
    await this.#checkpoints.save({ step: this.#step, arrays, facts });
    this.#savedStep = this.#step;
    this.#savedAt = this.#parts.clock.now();
    await this.#parts.options.onCheckpoint?.(this.#step);
  }

  #restore({ step, arrays, facts }: Checkpoint): void {
    const { resource } = this.#parts;
    if (facts["signature"] !== this.#signature || step > this.#steps) {
      const message = `${resource}: the newest checkpoint is of another network, other data or other options; give this fit a folder of its own`;
      throw trainingError("TRAINING_CHECKPOINT_MISMATCH", message, { resource });
    }
    const { weights, slots } = this.#plan.memory;
    const names = optimizerOf(this.#plan.optimizer).slots;
    weights.set(arrays["weights"] ?? []);
    slots.forEach((slot, i) => slot.set(arrays[`slot.${names[i] ?? i}`] ?? []));
    this.#step = this.#savedStep = step;
    this.#applied = Number(facts["applied"]);
    this.#loss = Number(facts["loss"]);
  }
}
