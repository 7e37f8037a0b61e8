import { defineDriver, type DriverFactory } from "@steward/core/driver";
import { TrainerManager } from "../manager.ts";
import { trainerSchema, type TrainerOptions } from "../options.ts";
import type { DataParallelTrainer } from "./trainer.ts";

/**
 * Defines a trainer: a network, in a module that only workers load, and how many workers share each step.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 */
export const dataParallelTrainer: DriverFactory<TrainerOptions, DataParallelTrainer> = /* @__PURE__ */ defineDriver<
  TrainerOptions,
  DataParallelTrainer
>({
  kind: "trainer",
  schema: trainerSchema,
  create: (options, context) => new TrainerManager(options, context),
});
