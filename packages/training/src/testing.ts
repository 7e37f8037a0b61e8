import { defineTestDriver, optionsWithout, type ManagerContext, type TestFactory } from "@steward/core/driver";
import { dataParallelTrainer } from "./fit/definition.ts";
import { localLane, type Lane } from "./fit/lane.ts";
import type { DataParallelTrainer } from "./fit/trainer.ts";
import type { Network } from "./gradients/network.ts";
import { TrainerManager } from "./manager.ts";

/** Options of a trainer for tests. */
export interface TestTrainerOptions {
  /** What it trains. Default: one weight, which learns the mean of the targets. */
  readonly network?: Network | undefined;
  /** Parts that each step is split into. Default 1. */
  readonly workers?: number | undefined;
}

/** One weight, which learns the mean of the targets. */
const mean: Network = {
  parameters: [{ name: "mean", shape: [1] }],
  gradients({ mean = new Float32Array(1) }, { targets, rows }) {
    const [value = 0] = mean;
    const error = targets.reduce((sum, target) => sum + (value - target), 0) / rows;
    return { loss: error * error, gradients: { mean: Float32Array.of(2 * error) } };
  },
};

class TestTrainerManager extends TrainerManager {
  readonly #test: TestTrainerOptions;

  constructor(test: TestTrainerOptions, context: ManagerContext) {
    super({ module: new URL(import.meta.url), workers: test.workers }, context);
    this.#test = test;
  }

  protected override openLanes(): Promise<readonly Lane[]> {
    const { network = mean, workers = 1 } = this.#test;
    return Promise.resolve(Array.from({ length: workers }, () => localLane(network)));
  }
}

/**
 * A trainer for tests: the real one, whose parts of a step run in this thread, so that a network of the test can be trained.
 *
 * @example
 * ```ts
 * import { testTrainer } from "@steward/training/testing";
 * await using manager = await testTrainer({ workers: 2 }).start();
 * const data = { rows: 4, inputs: new Float32Array(4), targets: Float32Array.of(1, 1, 1, 1) };
 * const { steps } = await manager.client.fit(data, { epochs: 5, batchRows: 2 });
 * console.log(steps); // => 10
 * ```
 */
export const testTrainer: TestFactory<TestTrainerOptions, DataParallelTrainer, TrainerManager> = defineTestDriver<
  TestTrainerOptions,
  DataParallelTrainer,
  TrainerManager
>({
  define: (name) => dataParallelTrainer(name, { module: new URL(import.meta.url) }),
  keep: (given) => optionsWithout(given, ["module", "workerStartTimeoutMs"]),
  create: (options, context) => new TestTrainerManager(options, context),
});
