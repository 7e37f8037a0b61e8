import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { clipScale, GradientAccumulator } from "../gradients/accumulator.ts";
import type { Batch, BatchGradients, Network } from "../gradients/network.ts";
import { optimizerOf, type Optimizer, type OptimizerOptions } from "../gradients/optimizer.ts";
import { layoutOf, mixed, orderOf, type Layout, type Parameters } from "../gradients/parameters.ts";
import { trainingError } from "../errors.ts";

/** The numbers that all workers of a fit share. */
export interface FitMemory {
  readonly inputs: Float32Array;
  readonly targets: Float32Array;
  readonly weights: Float32Array;
  /** What the optimizer remembers, each as long as the weights. */
  readonly slots: readonly Float32Array[];
  /** The mean gradient of each worker. */
  readonly gradients: readonly Float32Array[];
  /** The mean over all workers. */
  readonly mean: Float64Array;
}

/** All that a worker needs to know of a fit. */
export interface ShardPlan {
  /** Which worker it is, from 0 on. */
  readonly index: number;
  readonly workers: number;
  readonly memory: FitMemory;
  readonly rows: number;
  readonly batchRows: number;
  /** Batches of a step. */
  readonly batches: number;
  readonly skipNonFinite: boolean;
  readonly seed: number;
  readonly optimizer: OptimizerOptions;
}

/** What a worker makes of its part of a step. */
export interface ShardGradients {
  /** Mean loss of its rows. */
  readonly loss: number;
  /** Rows that count; 0 where all of its batches were left out. */
  readonly rows: number;
  readonly skipped: number;
}

/** What a worker has to do with the mean gradient. */
export interface ApplyStep {
  /** Its length. */
  readonly norm: number;
  readonly clipNorm: number | undefined;
  /** Steps applied so far, this one included. */
  readonly applied: number;
}

/** Steps of one epoch. */
export function stepsPerEpoch({ rows, batchRows, batches }: Pick<ShardPlan, "rows" | "batchRows" | "batches">): number {
  return Math.ceil(rows / (batchRows * batches));
}

/**
 * The part of one worker: the gradients of its share of the rows, and the mean and the new weights of its stretch of the
 * parameters. All workers do the first before any does the second, and so on: the caller sees to that.
 */
export class Shard {
  readonly #network: Network;
  readonly #plan: ShardPlan;
  readonly #layout: Layout;
  readonly #optimizer: Optimizer;
  readonly #accumulator: GradientAccumulator;
  readonly #values: Parameters;
  readonly #own: Parameters;
  readonly #from: number;
  readonly #to: number;
  #order: { readonly epoch: number; readonly rows: Uint32Array } | undefined;

  constructor(network: Network, plan: ShardPlan) {
    const { index, workers, memory, batches, skipNonFinite, optimizer } = plan;
    this.#network = network;
    this.#plan = plan;
    this.#layout = layoutOf(network.parameters);
    this.#optimizer = optimizerOf(optimizer);
    this.#accumulator = new GradientAccumulator({ steps: batches, skipNonFinite });
    this.#values = this.#layout.views(memory.weights);
    this.#own = this.#layout.views(memory.gradients[index] ?? new Float32Array(this.#layout.size));
    this.#from = Math.floor((this.#layout.size * index) / workers);
    this.#to = Math.floor((this.#layout.size * (index + 1)) / workers);
  }

  /** Works out the gradients of its rows of a step. @param step counts from 0. */
  gradients(step: number): ShardGradients {
    const { batchRows, batches, index, workers, rows: allRows } = this.#plan;
    const perEpoch = stepsPerEpoch(this.#plan);
    const order = this.#orderOf(Math.floor(step / perEpoch));
    const first = (step % perEpoch) * batchRows * batches;
    this.#accumulator.clear();
    let [loss, rows, skipped] = [0, 0, 0];
    for (let batch = 0; batch < batches; batch++) {
      const from = first + batch * batchRows;
      const count = Math.max(0, Math.min(allRows, from + batchRows) - from);
      const own = order.subarray(
        from + Math.floor((count * index) / workers),
        from + Math.floor((count * (index + 1)) / workers),
      );
      if (own.length === 0) continue;
      const found = this.#add(this.#batchOf(own, mixed(this.#plan.seed, step, batch, index)));
      if (found === undefined) skipped += 1;
      else {
        loss += found * own.length;
        rows += own.length;
      }
    }
    if (rows > 0) this.#keep(this.#accumulator.take().gradients);
    return { loss: rows === 0 ? 0 : loss / rows, rows, skipped };
  }

  /**
   * The mean over the workers of its stretch, always added in the order of the workers, so that the sum is the same in
   * every run.
   * @param rows of each worker.
   * @returns the sum of the squares of its stretch.
   */
  reduce(rows: readonly number[]): number {
    const { gradients, mean } = this.#plan.memory;
    const total = rows.reduce((sum, each) => sum + each, 0);
    let squares = 0;
    for (let i = this.#from; i < this.#to; i++) {
      let sum = 0;
      for (let worker = 0; worker < gradients.length; worker++) {
        const count = rows[worker] ?? 0;
        if (count > 0) sum += (gradients[worker]?.[i] ?? 0) * count;
      }
      const value = sum / total;
      mean[i] = value;
      squares += value * value;
    }
    return squares;
  }

  /** Changes its stretch of the weights. */
  apply({ norm, clipNorm, applied }: ApplyStep): void {
    const { weights, slots, mean } = this.#plan.memory;
    const stretch = mean.subarray(this.#from, this.#to);
    const scale = clipScale(norm, clipNorm);
    if (scale !== 1) for (let i = 0; i < stretch.length; i++) stretch[i] = (stretch[i] ?? 0) * scale;
    const ownSlots = slots.map((slot) => slot.subarray(this.#from, this.#to));
    this.#optimizer.apply(weights.subarray(this.#from, this.#to), stretch, ownSlots, applied);
  }

  /** The loss of a batch, or `undefined` where it was left out. */
  #add(batch: Batch): number | undefined {
    const { loss, gradients } = this.#gradientsOf(batch);
    if (Number.isFinite(loss)) {
      const { skipped } = this.#accumulator;
      this.#accumulator.add(gradients, batch.rows);
      return this.#accumulator.skipped === skipped ? loss : undefined;
    }
    if (!this.#plan.skipNonFinite) throw trainingError("TRAINING_NOT_FINITE", `the loss is ${loss}`);
    return undefined;
  }

  #gradientsOf(batch: Batch): BatchGradients {
    try {
      return this.#network.gradients(this.#values, batch);
    } catch (cause) {
      if (isStewardError(cause)) throw cause;
      const message = `the network threw in worker ${this.#plan.index}: ${describeError(cause)}`;
      throw trainingError("TRAINING_STEP_FAILED", message, { cause });
    }
  }

  #keep(gradients: Parameters): void {
    for (const [name, own] of Object.entries(this.#own)) {
      const given = gradients[name];
      if (given?.length !== own.length)
        throw trainingError(
          "TRAINING_GRADIENTS_INVALID",
          `there is no gradient of ${own.length} numbers for "${name}"`,
        );
      own.set(given);
    }
  }

  #orderOf(epoch: number): Uint32Array {
    if (this.#order?.epoch !== epoch) this.#order = { epoch, rows: orderOf(this.#plan.rows, this.#plan.seed, epoch) };
    return this.#order.rows;
  }

  #batchOf(rows: Uint32Array, seed: number): Batch {
    const { memory, rows: all } = this.#plan;
    return {
      rows: rows.length,
      inputs: gathered(memory.inputs, all, rows),
      targets: gathered(memory.targets, all, rows),
      seed,
    };
  }
}

/** Some rows of all, behind one another. */
function gathered(values: Float32Array, all: number, rows: Uint32Array): Float32Array {
  const width = values.length / all;
  const picked = new Float32Array(rows.length * width);
  rows.forEach((row, i) => picked.set(values.subarray(row * width, (row + 1) * width), i * width));
  return picked;
}
