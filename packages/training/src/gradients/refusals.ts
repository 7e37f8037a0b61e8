import { trainingError } from "../errors.ts";

/**
 * Mixed precision, which does not exist on a CPU under Node: refused by name, and never imitated.
 *
 * @throws {TRAINING_UNSUPPORTED} always: no engine under Node works out gradients in float16 or bfloat16.
 */
export function autocast(): never {
  throw trainingError(
    "TRAINING_UNSUPPORTED",
    "autocast: no engine under Node trains in float16 or bfloat16. Train in float32 here, or where there are GPUs " +
      "(torch.autocast), and serve the result: @steward/models picks a float16 or int8 variant and measures its error",
  );
}

/**
 * Training on several GPUs, which no engine under Node can do: refused by name. `dataParallelTrainer` uses CPUs.
 *
 * @throws {TRAINING_UNSUPPORTED} always: no maintained engine under Node trains on GPUs.
 */
export function multiGpuTrainer(): never {
  throw trainingError(
    "TRAINING_UNSUPPORTED",
    "multiGpuTrainer: no maintained engine under Node trains on GPUs. dataParallelTrainer spreads a step over CPU " +
      "threads; for GPUs train elsewhere (torchrun with DistributedDataParallel), export ONNX, serve with @steward/models",
  );
}
