import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { startWorker, type WorkerHandle } from "@steward/core/worker";
import { trainingError } from "../errors.ts";
import type { Lane } from "./lane.ts";
import type { FitMethods } from "./methods.ts";

/** How a worker of a fit is started. */
export interface WorkerLaneOptions {
  readonly resource: string;
  readonly module: URL;
  readonly index: number;
  readonly startTimeoutMs: number;
  /** Gives the start up. */
  readonly signal: AbortSignal;
}

/**
 * All workers of a fit, or none.
 * @throws as {@link workerLane}.
 */
export async function openWorkers(options: Omit<WorkerLaneOptions, "index">, count: number): Promise<readonly Lane[]> {
  const opening = Array.from({ length: count }, (_, index) => workerLane({ ...options, index }));
  const opened = await Promise.allSettled(opening);
  const lanes = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const failed = opened.find((each) => each.status === "rejected");
  if (failed === undefined) return lanes;
  await Promise.all(lanes.map((lane) => lane.close()));
  throw failed.reason;
}

/**
 * A worker in a thread of its own.
 * @throws {TRAINING_ENGINE_MISSING} when its module imports an engine that is not installed.
 * @throws {TRAINING_NETWORK_INVALID} when the module cannot be loaded, or exports no network.
 */
async function workerLane({ resource, module, index, ...start }: WorkerLaneOptions): Promise<Lane> {
  const name = `${resource}:${index}`;
  const worker = await started(resource, () =>
    startWorker<FitMethods>(new URL(import.meta.resolve("#fit-thread")), {
      name,
      data: { module: module.href, resource },
      // All of it is JavaScript, and what is cut off is made again from the checkpoint.
      interruptible: true,
      ...start,
    }),
  );
  const answer = <T>(asked: Promise<T>): Promise<T> => asked.catch((error: unknown) => lost(resource, error));
  return {
    describe: () => answer(worker.call("describe")),
    begin: (plan) => answer(worker.call("begin", plan)),
    gradients: (step) => answer(worker.call("gradients", step)),
    reduce: (rows) => answer(worker.call("reduce", rows)),
    apply: (step) => answer(worker.call("apply", step)),
    close: () => ended(worker),
  };
}

async function ended(worker: WorkerHandle<FitMethods>): Promise<void> {
  worker.kill();
  await worker.ended;
}

/** What the thread itself found wrong comes back with its own code. */
async function started<T>(resource: string, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (isStewardError(error, "WORKER_START_FAILED") && isStewardError(cause)) throw cause;
    const message = `${resource}: a worker could not be started: ${describeError(error)}`;
    throw trainingError("TRAINING_NETWORK_INVALID", message, { resource, cause: error });
  }
}

const ENDED: ReadonlySet<string> = new Set(["WORKER_ENDED", "RESOURCE_UNAVAILABLE"]);

function lost(resource: string, error: unknown): never {
  if (!isStewardError(error) || !ENDED.has(error.code)) throw error;
  const message = `${resource}: a worker ended unasked; fit again to go on from the last checkpoint: ${error.message}`;
  throw trainingError("TRAINING_WORKER_LOST", message, { resource, cause: error, retryable: true });
}
