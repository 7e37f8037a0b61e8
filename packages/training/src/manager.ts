import type { MetricSample } from "@steward/core";
import { checkOptions, Manager, type ManagerContext } from "@steward/core/driver";
import { DataParallelTrainer } from "./fit/trainer.ts";
import type { Lane } from "./fit/lane.ts";
import { probeModule, type TrainerStats } from "./health.ts";
import { trainerSchema, type TrainerOptions } from "./options.ts";

const WORKER_START_MS = 30_000;

/**
 * Looks after a trainer: its workers live as long as a fit, and a stop ends a fit at a step, with a checkpoint.
 */
export class TrainerManager extends Manager<DataParallelTrainer> {
  override readonly client: DataParallelTrainer;
  readonly #options: TrainerOptions;

  /** @throws {OPTIONS_INVALID} listing every option that is unknown or wrong. */
  constructor(options: TrainerOptions, context: ManagerContext = {}) {
    super("trainer", context);
    this.#options = checkOptions(this.name, trainerSchema, options);
    this.client = new DataParallelTrainer({
      resource: this.name,
      clock: this.clock,
      workers: this.#options.workers ?? 1,
      refusal: () => this.unavailable(),
      open: (signal) => this.openLanes(signal),
    });
  }

  /** Its numbers. */
  override stats(): Readonly<Record<string, unknown>> & TrainerStats {
    return Object.freeze({ phase: this.phase, ...this.client.counts, devices: this.client.devices });
  }

  /** Starts the workers of a fit. */
  protected async openLanes(signal: AbortSignal): Promise<readonly Lane[]> {
    // Loaded with the first fit: who only serves needs none of it.
    const { openWorkers } = await import("./fit/worker-lane.ts");
    const { module, workers = 1, workerStartTimeoutMs = WORKER_START_MS } = this.#options;
    return openWorkers({ resource: this.name, module, startTimeoutMs: workerStartTimeoutMs, signal }, workers);
  }

  protected override async onStart(): Promise<void> {
    await this.onProbe();
  }

  protected override onProbe(): Promise<void> {
    return probeModule(this.name, this.#options.module);
  }

  /** The fit at work ends at its step. */
  protected override onDrain(): Promise<void> {
    return this.client.end();
  }

  /** Nothing is left to wait for but a step that took longer than the drain. */
  protected override onStop(): Promise<void> {
    return this.client.kill();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    const { steps, fitting, loss } = this.client.counts;
    yield { name: "steward.training.steps", kind: "counter", unit: "{step}", attributes, value: steps };
    yield { name: "steward.training.fitting", kind: "gauge", unit: "1", attributes, value: fitting ? 1 : 0 };
    if (!Number.isNaN(loss)) yield { name: "steward.training.loss", kind: "gauge", unit: "1", attributes, value: loss };
  }
}
