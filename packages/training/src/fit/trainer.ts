import { StewardError, type Clock } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { trainingError } from "../errors.ts";
import { dataShape, fitShape, type FitOptions, type TrainingData } from "../options.ts";
import { Fit, type FitResult } from "./fit.ts";
import type { Lane } from "./lane.ts";

/** What a trainer needs of its manager. */
export interface TrainerParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly workers: number;
  readonly refusal: () => StewardError | undefined;
  /** Opens what a step is spread over; `signal` gives that up. */
  readonly open: (signal: AbortSignal) => Promise<readonly Lane[]>;
}

/** What a trainer does now. */
interface AtWork {
  readonly done: Promise<unknown>;
  /** Aborts when it has to end; there is a step to wait for only once there are lanes. */
  readonly opening: AbortController;
  lanes: readonly Lane[];
  ending: StewardError | undefined;
}

/**
 * Trains a network on the CPUs of this machine: each worker works out the gradients of its share of the rows, they are
 * averaged in a fixed order in shared memory, and all go on with the same weights. The same seed, data and number of
 * workers give the same bits. Nothing of it runs in the thread that calls it but the waiting.
 */
export class DataParallelTrainer {
  readonly #parts: TrainerParts;
  #work: AtWork | undefined;
  #steps = 0;
  #fits = 0;
  #loss = Number.NaN;

  constructor(parts: TrainerParts) {
    this.#parts = parts;
  }

  /** What a step is spread over. */
  get devices(): readonly string[] {
    return Array.from({ length: this.#parts.workers }, (_, i) => `cpu:${i}`);
  }

  /** Numbers since the process began. */
  get counts(): { readonly fitting: boolean; readonly fits: number; readonly steps: number; readonly loss: number } {
    return { fitting: this.#work !== undefined, fits: this.#fits, steps: this.#steps, loss: this.#loss };
  }

  /**
   * Trains the network on the data, and goes on where a checkpoint in the folder ends.
   *
   * @throws {OPTIONS_INVALID} when an option is unknown or out of range.
   * @throws {TRAINING_BUSY} while it fits another.
   * @throws {TRAINING_DATA_INVALID} when the lengths are no whole number of rows.
   * @throws {TRAINING_WORKER_LOST} when a worker ended unasked; resume by calling it again.
   * @throws {TRAINING_STOPPED} when the trainer was stopped; {CALL_ABORTED} when `signal` aborted. Both have a checkpoint.
   * @throws {TRAINING_NOT_FINITE} when it diverged; the last checkpoint is from before that.
   */
  async fit(data: TrainingData, options: FitOptions = {}): Promise<FitResult> {
    const { resource, refusal } = this.#parts;
    assertShape(resource, fitShape, options);
    assertShape(resource, dataShape, data);
    checkLengths(resource, data);
    const refused = refusal();
    if (refused !== undefined) throw refused;
    if (this.#work !== undefined)
      throw trainingError("TRAINING_BUSY", `${resource}: it fits another network now`, { resource, retryable: true });
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => (finish = resolve));
    const work: AtWork = (this.#work = { done, opening: new AbortController(), lanes: [], ending: undefined });
    this.#fits += 1;
    try {
      work.lanes = await this.#opened(work, options.signal);
      return await this.#run(work, data, options);
    } catch (error) {
      throw work.ending ?? error;
    } finally {
      await Promise.all(work.lanes.map((lane) => lane.close().catch(() => {})));
      this.#work = undefined;
      finish();
    }
  }

  async #opened({ opening }: AtWork, signal: AbortSignal | undefined): Promise<readonly Lane[]> {
    try {
      return await this.#parts.open(signal === undefined ? opening.signal : AbortSignal.any([opening.signal, signal]));
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      const { resource } = this.#parts;
      const message = `${resource}: the fit was given up before it began`;
      throw new StewardError("CALL_ABORTED", message, { resource, cause: signal.reason });
    }
  }

  #run(work: AtWork, data: TrainingData, options: FitOptions): Promise<FitResult> {
    const { resource, clock } = this.#parts;
    const onLoss = (loss: number): void => {
      this.#loss = loss;
      this.#steps += 1;
    };
    return Fit.run({ resource, clock, lanes: work.lanes, data, options, onLoss, ending: () => work.ending });
  }

  /** Ends the fit at work after its step, with a checkpoint; resolves when it has ended. */
  async end(): Promise<void> {
    const work = this.#work;
    if (work === undefined) return;
    const { resource } = this.#parts;
    const message = `${resource}: it was stopped, and the fit ended at a step; where it has checkpoints it can be resumed`;
    work.ending = trainingError("TRAINING_STOPPED", message, { resource, retryable: true });
    work.opening.abort(work.ending);
    await work.done;
  }

  /** Ends the fit at work now. */
  async kill(): Promise<void> {
    const work = this.#work;
    if (work === undefined) return;
    void this.end();
    await Promise.all(work.lanes.map((lane) => lane.close().catch(() => {})));
    await work.done;
  }
}

function checkLengths(resource: string, { rows, inputs, targets }: TrainingData): void {
  for (const [name, values] of Object.entries({ inputs, targets })) {
    if (values.length > 0 && values.length % rows === 0) continue;
    const message = `${resource}: ${name} has ${values.length} numbers, which are no whole number for each of ${rows} rows`;
    throw trainingError("TRAINING_DATA_INVALID", message, { resource });
  }
}
