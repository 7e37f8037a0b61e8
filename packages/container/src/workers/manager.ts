import { availableParallelism } from "node:os";
import { StewardError, type Definition, type Guard } from "@steward/core";
import {
  assertShape,
  checkOptions,
  defineDriver,
  Manager,
  milliseconds,
  shape,
  signal as signalRule,
  type ManagedSettings,
  type ManagerContext,
  type Shape,
} from "@steward/core/driver";
import type { WorkerMethods } from "@steward/core/worker";
import { poolSchema, type WorkerPoolOptions } from "./options.ts";
import { Workers, type PoolCallOptions, type WorkerPool } from "./pool.ts";

const callShape: Shape<PoolCallOptions> = /* @__PURE__ */ shape<PoolCallOptions>(() => ({
  signal: signalRule(),
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
}));

/** Looks after a pool of workers: a queue in front of them, and a new one for each that ends. */
export class WorkerPoolManager<M extends WorkerMethods = WorkerMethods> extends Manager<WorkerPool<M>> {
  readonly #workers: Workers;
  readonly #size: number;
  readonly #client: WorkerPool<M>;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(options: WorkerPoolOptions, context: ManagerContext = {}) {
    super("worker-pool", context);
    const checked = checkOptions(this.name, poolSchema, options);
    this.#size = checked.size ?? availableParallelism();
    const workers = new Workers(this.guardBasis(), checked, this.#size);
    this.#workers = workers;
    const run = (method: string, argument?: unknown, call?: PoolCallOptions): Promise<unknown> => {
      if (call !== undefined) assertShape(this.name, callShape, call);
      return workers.run(method, argument, call);
    };
    this.#client = Object.freeze({ run }) as WorkerPool<M>; // the methods of the module, which the caller names
  }

  override get client(): WorkerPool<M> {
    return this.#client;
  }

  protected override *guards(): Iterable<Guard> {
    yield this.#workers.guard;
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return { size: this.#workers.size, replaced: this.#workers.replaced, ...this.#workers.guard.stats() };
  }

  protected override onStart(signal: AbortSignal): Promise<void> {
    return this.#workers.open(signal);
  }

  /** @throws {RESOURCE_UNAVAILABLE} when no worker is up. */
  protected override onProbe(): void {
    if (this.#workers.size > 0) return;
    const message = `${this.name}: none of ${this.#size} workers is up`;
    throw new StewardError("RESOURCE_UNAVAILABLE", message, { resource: this.name, retryable: true });
  }

  protected override onDrain(): Promise<void> {
    return this.#workers.guard.idle();
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    this.#workers.guard.rejectPending(this.refusal());
    await this.#workers.close(signal);
  }
}

/** Options of a pool and settings of its resource. */
export type WorkerPoolSettings = WorkerPoolOptions & ManagedSettings<undefined>;

const define = /* @__PURE__ */ defineDriver<WorkerPoolOptions, WorkerPool>({
  kind: "worker-pool",
  schema: poolSchema,
  settings: { readiness: "gate" },
  create: (options, context) => new WorkerPoolManager(options, context),
});

/**
 * Defines a pool of workers for what would hold up the event loop: hashing, images, parsing. The module calls
 * `serveWorker` of `@steward/core/worker`; name the type of its methods.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong option.
 *
 * @example
 * ```ts
 * import { workerPool } from "@steward/container/worker-pool";
 * type Methods = { thumbnail(image: Uint8Array): Uint8Array };
 * const cpu = workerPool<Methods>("cpu", { size: 2, module: new URL("./thumbnails.js", import.meta.url) });
 * console.log(cpu.name); // => cpu
 * ```
 */
export function workerPool<M extends WorkerMethods = WorkerMethods>(
  name: string,
  given: WorkerPoolSettings,
): Definition<WorkerPool<M>, "application"> {
  return define(name, given) as Definition<WorkerPool<M>, "application">; // the methods of the module, which the caller names
}
