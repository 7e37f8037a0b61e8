import { Guard, type MetricSample } from "@steward/core";
import { batch, type Batch } from "@steward/core/batch";
import {
  assertShape,
  checkOptions,
  defineDriver,
  Histogram,
  Manager,
  shape,
  signal,
  milliseconds,
  usualVerdict,
  type DriverFactory,
  type ManagerContext,
  type Verdict,
} from "@steward/core/driver";
import { isStewardError } from "@steward/core";
import type { Tensors } from "./engine/tensor.ts";
import { ask, probe } from "./health.ts";
import { modelSchema, type CheckedOptions, type ModelOptions } from "./options.ts";
import { Loading, type Served } from "./serving/choose.ts";
import { runEach, type Model, type ModelCall } from "./serving/model.ts";
import { splitRows, stacked } from "./serving/rows.ts";
import type { Inputs, Item } from "./serving/signature.ts";

/** Rows of a run: powers of two. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/** What the options of a call must be. */
const CALL = /* @__PURE__ */ shape<ModelCall>(() => ({
  signal: signal(),
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
}));

/**
 * Looks after one ONNX model: it runs beside the event loop, what waits is one batch, and a crash of the engine costs
 * the calls in it and no more.
 *
 * @example
 * ```ts
 * import { ModelManager, type Compute, type Tensor, type Tensors } from "@steward/models";
 * const info = { type: "float32", shape: ["n", 2] };
 * const run = (feeds: Tensors) => ({ y: feeds["x"] as Tensor }); // gives back what it is given
 * const compute: Compute = { inputs: [{ name: "x", ...info }], outputs: [{ name: "y", ...info }], run };
 * await using manager = await new ModelManager({ compute }).start(); // in an app: { source: { file: "model.onnx", sha256: "..." } }
 * const { y } = await manager.client.run({ x: Float32Array.of(1, 2) });
 * console.log(y?.data); // => Float32Array(2) [ 1, 2 ]
 * ```
 */
export class ModelManager extends Manager<Model> {
  readonly #options: CheckedOptions;
  readonly #guard: Guard;
  readonly #client: Model;
  readonly #sizes = new Histogram(SIZES);
  readonly #queueTimes = new Histogram();
  readonly #runTimes = new Histogram();
  #batch: Batch<Item, Tensors>;
  #served: Served | undefined;
  /** Why a newer version is not served; `undefined` where there is none. */
  #renewal: unknown;
  #restarts = 0;
  #stops = 0;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: ModelOptions, context: ManagerContext = {}) {
    super("model", context);
    this.#options = checkOptions(this.name, modelSchema, options);
    const { timeoutMs, breaker } = this.#options;
    this.#guard = new Guard({ ...this.guardBasis(), timeoutMs, judge, breaker });
    this.#batch = this.#newBatch();
    this.#client = this.#makeClient();
  }

  override get client(): Model {
    return this.#client;
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    this.#renewal = undefined;
    this.#served = await this.#load(signal);
    this.#batch = this.#newBatch();
  }

  #load(signal: AbortSignal): Promise<Served> {
    const { name: resource, clock } = this;
    return new Loading({ resource, clock, onChange: () => this.noticed() }, this.#options, signal).load();
  }

  protected override async onProbe(signal: AbortSignal): Promise<void> {
    await probe(this.name, this.#required(), signal);
  }

  protected override ask(): void {
    const { clock } = this;
    ask(this.name, this.#required().pool, { clock, runTimeoutMs: this.#options.runTimeoutMs });
  }

  /** An engine that cannot be loaded again, or a new version that failed its golden inputs. */
  get trouble(): { readonly status: "degraded"; readonly reason: string } | undefined {
    const failure = this.#served?.pool.failure ?? this.#renewal;
    return failure === undefined
      ? undefined
      : { status: "degraded", reason: failure instanceof Error ? failure.message : String(failure) };
  }

  protected override get hasWorkToDrain(): boolean {
    return !this.#guard.isIdle;
  }

  protected override onDrain(): Promise<void> {
    return this.#guard.idle();
  }

  protected override async onStop(): Promise<void> {
    const served = this.#served;
    this.#served = undefined;
    this.#stops++;
    this.#batch.rejectPending(this.refusal());
    this.#restarts += served?.pool.restarts ?? 0;
    await served?.pool.close();
  }

  /** Loads the version that is the right one now; it takes the place of the old one once it has given its golden outputs. */
  protected override async replace(): Promise<void> {
    const stops = this.#stops;
    const fresh = await this.#load(new AbortController().signal).catch((error: unknown) => {
      this.#renewal = error;
      this.noticed();
      throw error;
    });
    if (stops !== this.#stops) return fresh.pool.close(); // it was stopped meanwhile
    const old = this.#served;
    this.#served = fresh;
    this.#renewal = undefined;
    this.#restarts += old?.pool.restarts ?? 0;
    await old?.pool.close();
  }

  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }

  #newBatch(): Batch<Item, Tensors> {
    const { maxBatch, maxPending, waitMs, workers } = this.#options;
    return batch<Item, Tensors>((items, call) => this.#run(items, () => call.signal), {
      name: this.name,
      clock: this.clock,
      max: maxBatch,
      maxPending,
      waitMs,
      maxConcurrent: workers,
      sizeOf: ({ rows }) => rows,
      keyOf: ({ key }) => key,
    });
  }

  async #run(items: readonly Item[], abort: () => AbortSignal): Promise<readonly Tensors[]> {
    const { signature, pool } = this.#required();
    if (!signature.isBatched && items.length > 1)
      return Promise.all(items.map(async (item) => (await this.#run([item], abort))[0] ?? {}));
    const began = this.clock.now();
    this.#sizes.record(items.reduce((sum, { rows }) => sum + rows, 0));
    for (const { since } of items) this.#queueTimes.record((began - since) / 1_000);
    const outputs = await pool.run(stacked(items, signature), abort);
    this.#runTimes.record((this.clock.now() - began) / 1_000);
    return splitRows(this.name, outputs, items, signature);
  }

  async #call(inputs: Inputs, call: ModelCall | undefined): Promise<Tensors> {
    if (call !== undefined) assertShape(this.name, CALL, call);
    const served = this.#served;
    const item =
      served === undefined || this.unavailable() !== undefined
        ? undefined
        : served.signature.item(inputs, this.clock.now());
    return this.#guard.run((guarded) => {
      if (item === undefined) throw this.refusal();
      // The same bounds as the guard has: its own signal would cost more than all else of a call.
      return this.#batch(item, { timeoutMs: Math.max(0, guarded.deadline - this.clock.now()), signal: call?.signal });
    }, call);
  }

  #makeClient(): Model {
    const required = (): Served => this.#required();
    const run = (inputs: Inputs, call?: ModelCall): Promise<Tensors> => this.#call(inputs, call);
    return {
      name: this.name,
      get version() {
        return required().version;
      },
      get inputs() {
        return required().info.inputs;
      },
      get outputs() {
        return required().info.outputs;
      },
      run,
      runMany: (inputs, call) => runEach(this.name, inputs, (each) => run(each, call)),
    };
  }

  #required(): Served {
    if (this.#served === undefined) throw this.refusal();
    return this.#served;
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const { pending, maxPending, runs, largest } = this.#batch.stats();
    return { ...this.#guard.stats(), pending, maxPending, runs, largest, ...this.#about() };
  }

  #about(): Readonly<Record<string, unknown>> {
    if (this.#served === undefined) return { restarts: this.#restarts };
    const { version, device, precision, maxError, bytes, attempts, pool } = this.#served;
    return {
      version,
      device,
      precision,
      maxError,
      bytes,
      attempts,
      workers: pool.size,
      restarts: this.#restarts + pool.restarts,
    };
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { bytes = 0, pool } = this.#served ?? {};
    yield {
      name: "steward.model.batch.size",
      kind: "histogram",
      unit: "{row}",
      attributes,
      value: this.#sizes.value(),
    };
    yield {
      name: "steward.model.queue.duration",
      kind: "histogram",
      unit: "s",
      attributes,
      value: this.#queueTimes.value(),
    };
    yield {
      name: "steward.model.run.duration",
      kind: "histogram",
      unit: "s",
      attributes,
      value: this.#runTimes.value(),
    };
    yield { name: "steward.model.loaded", kind: "gauge", unit: "By", attributes, value: bytes * (pool?.size ?? 0) };
    yield {
      name: "steward.model.restarts",
      kind: "counter",
      unit: "{restart}",
      attributes,
      value: this.#restarts + (pool?.restarts ?? 0),
    };
  }
}

/** What a caller did says nothing about the model. */
function judge(error: unknown): Verdict {
  return isStewardError(error, "MODEL_INPUT_INVALID") ? "none" : usualVerdict(error);
}

/**
 * Defines a model. Its value runs it: `model.run({ pixels })`.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { model } from "@steward/models";
 * const voice = model("voice", { source: { file: "models/voice.onnx", sha256: "0".repeat(64) }, workers: 2, timeoutMs: 200 });
 * console.log(voice.name); // => voice
 * ```
 */
export const model: DriverFactory<ModelOptions, Model> = /* @__PURE__ */ defineDriver<ModelOptions, Model>({
  kind: "model",
  schema: modelSchema,
  settings: { readiness: "gate" },
  create: (options, context) => new ModelManager(options, context),
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
});
