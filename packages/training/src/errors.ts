import { describeError } from "@steward/core/driver";
import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/training`, with what it means. */
export const TRAINING_CODES = {
  TRAINING_ENGINE_MISSING: "The optional peers that work out gradients are not installed; the message has the command.",
  TRAINING_UNSUPPORTED: "Something that no CPU under Node can do was asked for; the message says where it can be done.",
  TRAINING_GRADIENTS_INVALID: "Gradients do not fit: another set of names or lengths, or rows that are no count.",
  TRAINING_NOT_FINITE:
    "A loss or a gradient is NaN or infinite, and `skipNonFinite` is off; the weights are as before.",
  TRAINING_NETWORK_INVALID: "A network, its module, or the layers to be exported are not as described.",
  TRAINING_DATA_INVALID: "The data of a fit do not fit: no rows, or lengths that are no whole number of rows.",
  TRAINING_BUSY: "A trainer fits one network at a time, and it is at work.",
  TRAINING_STEP_FAILED: "The code of a network threw in a worker.",
  TRAINING_WORKER_LOST: "A worker of a fit ended unasked; the last checkpoint allows to resume.",
  TRAINING_STOPPED: "The trainer was stopped during a fit, which ended at a step; with a checkpoint it can be resumed.",
  TRAINING_CHECKPOINT_INVALID: "No checkpoint in the folder can be read, or one could not be written.",
  TRAINING_CHECKPOINT_MISMATCH: "The newest checkpoint was made by a fit with other options or another network.",
  RUN_ID_INVALID: "The id of a run has other characters than a-z, 0-9, `-`, `_` and `.`, or exists already.",
  RUN_UNKNOWN: "There is no run with this id in the folder.",
  RUN_ENDED: "The run has ended, or is still being written, so nothing can be added by this call.",
  RUN_LOG_INVALID: "A line in the middle of a run's file cannot be read; only the last one may be torn.",
  RUN_LOG_WRITE_FAILED: "The file of a run could not be written.",
} as const;

/** A code that `@steward/training` itself raises. */
export type TrainingCode = keyof typeof TRAINING_CODES;

/** An error of a trainer, a run log, or a network. */
export function trainingError(code: TrainingCode, message: string, details?: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}

/** The packages that work out gradients. */
export const ENGINE: readonly string[] = [
  "@tensorflow/tfjs-core",
  "@tensorflow/tfjs-backend-cpu",
  "@tensorflow/tfjs-layers",
];

/** The error of a fit whose network needs what is not installed. */
export function engineMissing(resource: string, cause?: unknown): StewardError {
  const message = `${resource}: the engine that works out gradients is not installed: npm install ${ENGINE.join(" ")}`;
  return trainingError("TRAINING_ENGINE_MISSING", message, { resource, cause });
}

/** The error of a run's file that could not be written. */
export function runWriteFailed(resource: string, run: string, cause: unknown): StewardError {
  const message = `${resource}: the run ${run} could not be written: ${describeError(cause)}`;
  return trainingError("RUN_LOG_WRITE_FAILED", message, { resource, cause, retryable: true });
}
