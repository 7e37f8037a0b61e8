export { TRAINING_CODES, type TrainingCode } from "./errors.ts";
export { dataParallelTrainer } from "./fit/definition.ts";
export type { FitResult } from "./fit/fit.ts";
export type { DataParallelTrainer } from "./fit/trainer.ts";
export {
  GradientAccumulator,
  type Accumulated,
  type AccumulateOptions,
  type Gradients,
} from "./gradients/accumulator.ts";
export { assertEngine } from "./gradients/engine.ts";
export type { Batch, BatchGradients, Network } from "./gradients/network.ts";
export type { OptimizerOptions } from "./gradients/optimizer.ts";
export type { Parameter, Parameters } from "./gradients/parameters.ts";
export { autocast, multiGpuTrainer } from "./gradients/refusals.ts";
export type { TrainerStats } from "./health.ts";
export { TrainerManager } from "./manager.ts";
export { denseOutputs, type Activation, type DenseLayer, type DenseShape } from "./networks/dense.ts";
export type { CheckpointOptions, FitOptions, TrainerOptions, TrainingData } from "./options.ts";
export { runLog } from "./runs/definition.ts";
export type { CurvePoint } from "./runs/follow/curve.ts";
export type { RunFollower, RunsSeen } from "./runs/follow/follower.ts";
export type { RunCurve, RunSketch } from "./runs/follow/sketch.ts";
export type { Metrics, RunFacts, RunRecord, RunStep } from "./runs/lines.ts";
export { RunLogManager } from "./runs/manager.ts";
export type { RunLogOptions } from "./runs/options.ts";
export type { Run } from "./runs/run.ts";
export type { RunLog, RunOptions } from "./runs/run-log.ts";
