import type { Clock } from "@steward/core";
import { startWorker } from "@steward/core/worker";
import { engineError } from "../errors.ts";
import type { Engine, EngineTask } from "./engine.ts";
import { packed, unpacked } from "./packed.ts";
import { isText, MOVED_BYTES, type Tensors } from "./tensor.ts";
import type { EngineMethods } from "./worker.ts";

/** How the worker of an engine is started. */
export interface EngineStart {
  readonly resource: string;
  readonly clock: Clock;
  readonly isolation: "thread" | "process";
  readonly signal?: AbortSignal | undefined;
}

/** Loading has no bound of its own: that of the start of its resource aborts it. */
const MOST_MS = 2 ** 31 - 1;

/**
 * Loads a model in a worker.
 *
 * @throws {MODEL_ENGINE_MISSING}, {MODEL_UNKNOWN}, {MODEL_CHECKSUM}, {MODEL_INVALID_FILE}, {MODEL_DEVICE_UNAVAILABLE}
 */
export async function startEngine(task: EngineTask, start: EngineStart): Promise<Engine> {
  // The engine would report to its makers, and keep a database for that in the home folder. It reads the environment of
  // the process, which a thread cannot set for itself.
  process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
  const { resource, clock, isolation, signal } = start;
  const fail = (error: unknown): never => {
    throw engineError(resource, error);
  };
  const worker = await startWorker<EngineMethods>(new URL(import.meta.resolve("#engine-worker")), {
    name: resource,
    data: task,
    isolation,
    clock,
    startTimeoutMs: MOST_MS,
    ...(signal === undefined ? {} : { signal }),
  }).catch(fail);
  const info = await worker.call("describe").catch(fail);
  return {
    info,
    run: async (feeds: Tensors) => {
      const transfer = buffersOf(feeds);
      const sent = worker.call("run", packed(feeds, info.inputs), transfer.length === 0 ? undefined : { transfer });
      return unpacked(await sent.catch(fail), info.outputs);
    },
    ended: worker.ended,
    close: (timeoutMs) => worker.close({ timeoutMs }),
    kill: () => worker.kill(),
  };
}

/** Memory that is worth moving: for less, a copy is cheaper. */
function buffersOf(feeds: Tensors): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  for (const { data } of Object.values(feeds))
    if (!isText(data) && data.byteLength >= MOVED_BYTES) found.add(data.buffer as ArrayBuffer); // made for this run
  return found.size === 0 ? NONE : [...found];
}

const NONE: ArrayBuffer[] = [];
