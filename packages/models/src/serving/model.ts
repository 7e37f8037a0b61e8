import type { CallOptions } from "@steward/core";
import type { TensorInfo, Tensors } from "../engine/tensor.ts";
import { inputInvalid } from "../errors.ts";
import type { Inputs } from "./signature.ts";

/** What one call may ask for. */
export type ModelCall = Pick<CallOptions, "signal" | "timeoutMs">;

/** A model that is looked after, here or at a remote server: what users hold. */
export interface Model {
  /** Name of its resource. */
  readonly name: string;
  /** Version that is served; it changes with `renew()`. */
  readonly version: string;
  /** What it takes. */
  readonly inputs: readonly TensorInfo[];
  /** What it gives. */
  readonly outputs: readonly TensorInfo[];
  /**
   * Runs it. What waits at the same moment runs as one batch. The input is not changed, and may be used again.
   *
   * @throws {MODEL_INPUT_INVALID} when an input is not what the model takes. It fails this caller alone.
   * @throws {OVERLOADED} when too many rows wait; `retryAfterMs` says when to come back.
   * @throws {DEADLINE_EXCEEDED} when time runs out, in the queue or later.
   * @throws {CALL_ABORTED} when the caller's signal aborts; what waits leaves the queue.
   * @throws {MODEL_ENGINE_CRASHED} when the engine ends in the middle of the run.
   * @throws {RESOURCE_UNAVAILABLE} when it is not ready.
   */
  run(inputs: Inputs, call?: ModelCall): Promise<Tensors>;
  /** Runs several inputs; results come in their order. One that fails fails all. */
  runMany(inputs: readonly Inputs[], call?: ModelCall): Promise<readonly Tensors[]>;
}

/** Runs each of several inputs. @throws {MODEL_INPUT_INVALID} where they are no list. */
export async function runEach(
  resource: string,
  inputs: readonly Inputs[],
  run: (inputs: Inputs) => Promise<Tensors>,
): Promise<readonly Tensors[]> {
  if (!Array.isArray(inputs)) throw inputInvalid(resource, "several inputs are a list of them");
  return Promise.all(inputs.map(run));
}
