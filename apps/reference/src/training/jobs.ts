import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setInterval } from "node:timers/promises";
import { isStewardError, resource, StewardError } from "@steward/core";
import {
  assertEngine,
  dataParallelTrainer,
  denseOutputs,
  runLog,
  type DataParallelTrainer,
  type FitResult,
  type Run,
  type RunLog,
  type RunRecord,
} from "@steward/training";
import { denseOnnx } from "@steward/training/onnx";
import type { FastifyBaseLogger } from "fastify";
import { log } from "../resources/log.ts";
import { addVersion } from "../models/versions.ts";
import { settings } from "../settings.ts";
import { claim, forgetClaims } from "./claim.ts";
import { accuracyOf, BATCH_ROWS, ROWS, SCORE, videosOf } from "./score.ts";

/** What somebody may ask for. */
export interface TrainingWish {
  readonly epochs?: number | undefined;
  readonly seed?: number | undefined;
}

/** A training, as everybody sees it. */
export interface TrainingJob {
  readonly id: string;
  readonly status: "queued" | "training" | "done" | "failed" | "cancelled";
  readonly epochs: number;
  readonly seed: number;
  readonly step: number;
  readonly steps: number;
  /** Whole percents. */
  readonly progress: number;
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** What trainings need. */
export interface TrainingPlan {
  readonly runs: RunLog;
  readonly trainer: DataParallelTrainer;
  /** Where checkpoints are kept. */
  readonly folder: string;
  /** Holds the versions of the model. */
  readonly scores: string;
  readonly log: Pick<FastifyBaseLogger, "warn">;
  /** Throws where networks cannot be trained here. */
  readonly assertEngine: () => void;
}

const EPOCHS = 20;
const MOST_LISTED = 100;
const LOOK_MS = 200;
const LEARNING = { type: "adam", learningRate: 0.01 } as const;

/**
 * Trainings of this instance, one at a time and in the background. One that a stop or a kill has cut short goes on from
 * its checkpoint when Clips starts again.
 */
export class TrainingJobs {
  readonly #plan: TrainingPlan;
  readonly #waiting: string[] = [];
  #opening: Promise<string> | undefined;
  #atWork: { readonly id: string; readonly cancel: AbortController } | undefined;
  #wake: (() => void) | undefined;

  constructor(plan: TrainingPlan) {
    this.#plan = plan;
  }

  /**
   * A new training, or the one that is open, here or in another process with this data folder.
   * @throws {TRAINING_ENGINE_MISSING} where the engine is not installed.
   */
  async open(wish: TrainingWish): Promise<TrainingJob> {
    this.#plan.assertEngine();
    const { id: current, cancel } = this.#atWork ?? {};
    const isGoingOn = cancel?.signal.aborted === false;
    const id = (isGoingOn ? current : undefined) ?? this.#waiting[0] ?? (await this.#added(wish));
    const job = await this.find(id);
    if (job === undefined) throw new StewardError("RESOURCE_UNAVAILABLE", `the run ${id} has gone`);
    return job;
  }

  /** How a training goes, or went. */
  async find(id: string): Promise<TrainingJob | undefined> {
    try {
      return jobOf(await this.#plan.runs.read(id), this.#waiting.includes(id));
    } catch (error) {
      if (isStewardError(error, "RUN_UNKNOWN")) return undefined;
      throw error;
    }
  }

  /** Trainings, newest first. One whose file is spoilt is left out. */
  async list(): Promise<readonly TrainingJob[]> {
    const ids = (await this.#plan.runs.list()).slice(-MOST_LISTED).reverse();
    const found = await Promise.allSettled(ids.map((id) => this.find(id)));
    return found.flatMap((each) => (each.status === "fulfilled" && each.value !== undefined ? [each.value] : []));
  }

  /** Ends a training that is open, also one of another process; one that is over stays as it is. */
  async cancel(id: string): Promise<TrainingJob | undefined> {
    if (this.#atWork?.id === id) this.#atWork.cancel.abort(cancelled());
    else if (isOpen(await this.find(id))) {
      const at = this.#waiting.indexOf(id);
      if (at >= 0) this.#waiting.splice(at, 1);
      const isOurs = await this.#whereOpen(id, () => this.#end(id, undefined, cancelled()));
      if (!isOurs) await this.#report(id);
    }
    return this.find(id);
  }

  /** Forgets a training that is over. @returns whether it was. */
  async remove(id: string): Promise<boolean> {
    const job = await this.find(id);
    if (job === undefined || isOpen(job)) return false;
    await this.#plan.runs.remove(id);
    return true;
  }

  /** Takes up what a stop or a kill has cut short. */
  async recover(): Promise<void> {
    const { runs, log } = this.#plan;
    const ids = await runs.list().catch((error: unknown) => {
      log.warn({ err: error }, "runs of earlier trainings cannot be read");
      return [];
    });
    for (const id of ids)
      try {
        if ((await runs.read(id)).status === "running") this.#waiting.push(id);
      } catch (error) {
        log.warn({ err: error, training: id }, "a run of an earlier training cannot be read");
      }
  }

  /** Trains what is asked for, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
    while (!signal.aborted) {
      const id = this.#waiting.shift();
      if (id === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else await this.#claimed(id, signal);
    }
  }

  /** Of those who ask at once all get the same. */
  #added(wish: TrainingWish): Promise<string> {
    const open = async (): Promise<string> => (await this.#elsewhere()) ?? (await this.#add(wish));
    return (this.#opening ??= open().finally(() => (this.#opening = undefined)));
  }

  /** One that another process trains. It may have died, so that one is taken up if it can be claimed. */
  async #elsewhere(): Promise<string | undefined> {
    const isWanted = ({ id }: TrainingJob): boolean => id !== this.#atWork?.id && !existsSync(this.#flag(id));
    const found = (await this.list()).find((job) => isOpen(job) && isWanted(job));
    if (found === undefined) return undefined;
    this.#waiting.push(found.id);
    this.#wake?.();
    return found.id;
  }

  async #add({ epochs = EPOCHS, seed = 7 }: TrainingWish): Promise<string> {
    const steps = epochs * Math.ceil(ROWS / BATCH_ROWS);
    const run = await this.#plan.runs.start({ model: "score", seed, config: { epochs, steps } });
    await run.leave();
    this.#waiting.push(run.id);
    this.#wake?.();
    return run.id;
  }

  async #claimed(id: string, stop: AbortSignal): Promise<void> {
    const cancel = new AbortController();
    const ended = new AbortController();
    this.#atWork = { id, cancel };
    try {
      const isOurs = await this.#whereOpen(id, async () => {
        void this.#heed(id, cancel, ended.signal);
        await this.#train(id, cancel, stop);
      });
      if (!isOurs && cancel.signal.aborted) await this.#report(id);
    } catch (error) {
      this.#plan.log.warn({ err: error, training: id }, "a training cannot be begun");
    } finally {
      ended.abort();
      this.#atWork = undefined;
    }
  }

  /** Another process with the same data folder may have taken it, or brought it to its end. */
  async #whereOpen(id: string, work: () => Promise<void>): Promise<boolean> {
    const { folder, runs } = this.#plan;
    const release = await claim(join(folder, "checkpoints"), id);
    if (release === undefined) return false;
    try {
      if ((await runs.read(id)).status === "running") await work();
    } finally {
      await release();
    }
    return true;
  }

  /** Until `signal` aborts, looks whether another process wants a training of ours cancelled. */
  async #heed(id: string, cancel: AbortController, signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of setInterval(LOOK_MS, undefined, { signal, ref: false }))
        if (existsSync(this.#flag(id))) cancel.abort(cancelled());
    } catch {
      // It has ended.
    }
  }

  /** Reports it to the process that trains it. */
  #report(id: string): Promise<void> {
    return writeFile(this.#flag(id), "");
  }

  /** A file that says that a training is to be cancelled, to whichever process trains it now or next. */
  #flag(id: string): string {
    return join(this.#plan.folder, "checkpoints", `${id}.cancel`);
  }

  async #train(id: string, cancel: AbortController, stop: AbortSignal): Promise<void> {
    let run: Run | undefined;
    try {
      const { config, seed = 0 } = await this.#plan.runs.read(id);
      const result = await this.#plan.trainer.fit(videosOf(seed), {
        epochs: Number(config?.["epochs"]),
        batchRows: BATCH_ROWS,
        seed,
        optimizer: LEARNING,
        accumulate: { clipNorm: 5 },
        checkpoint: { folder: this.#checkpoints(id), everySteps: 50 },
        signal: AbortSignal.any([stop, cancel.signal]),
        onBegin: async ({ step }) => void (run = await this.#plan.runs.resume(id, step)),
        onStep: (step, metrics) => run?.step(step, metrics),
        onCheckpoint: (step) => run?.checkpoint(step),
      });
      await run?.finish(await this.#keep(result, seed));
      await this.#tidy(id);
    } catch (error) {
      const isStop = stop.aborted || isStewardError(error, "TRAINING_STOPPED");
      if (isStop && !cancel.signal.aborted) await run?.leave();
      else await this.#end(id, run, cancel.signal.aborted ? cancelled() : error);
    }
  }

  /** Writes the model, and judges it by videos that it has not seen. */
  async #keep({ parameters, loss, steps }: FitResult, seed: number): Promise<Readonly<Record<string, unknown>>> {
    const unseen = videosOf(seed + 1);
    const accuracy = accuracyOf(denseOutputs(SCORE, parameters, unseen.inputs), unseen);
    const content = denseOnnx(SCORE, parameters, { name: "score", input: "features", output: "score" });
    // What serves it has to give what was learned here.
    const data = unseen.inputs.slice(0, SCORE.inputs);
    const output = { score: denseOutputs(SCORE, parameters, data) };
    const golden = { input: { features: { type: "float32", shape: [1, SCORE.inputs], data } }, output } as const;
    const version = await addVersion(this.#plan.scores, content, [golden]);
    return { loss, steps, accuracy, version };
  }

  async #end(id: string, run: Run | undefined, error: unknown): Promise<void> {
    const { runs, log } = this.#plan;
    if (!isStewardError(error, "CALL_ABORTED")) log.warn({ err: error, training: id }, "a training failed");
    try {
      const done = run === undefined ? ((await runs.read(id)).steps.at(-1)?.step ?? 0) : 0;
      await (run ?? (await runs.resume(id, done))).fail(error);
      await this.#tidy(id);
    } catch (cause) {
      log.warn({ err: cause, training: id }, "the end of a training cannot be written");
    }
  }

  /** What a training needs no more once it is over. */
  async #tidy(id: string): Promise<void> {
    await Promise.all(
      [this.#checkpoints(id), this.#flag(id)].map((path) => rm(path, { recursive: true, force: true })),
    );
    await forgetClaims(join(this.#plan.folder, "checkpoints"), id);
  }

  #checkpoints(id: string): string {
    return join(this.#plan.folder, "checkpoints", id);
  }
}

function isOpen(job: TrainingJob | undefined): boolean {
  return job?.status === "queued" || job?.status === "training";
}

function cancelled(): StewardError {
  return new StewardError("CALL_ABORTED", "cancelled");
}

function jobOf(record: RunRecord, isWaiting: boolean): TrainingJob {
  const { run: id, seed = 0, config = {}, steps: done, result, startedAt, endedAt } = record;
  const [steps, last] = [Number(config["steps"]), done.at(-1)];
  const step = last?.step ?? 0;
  const { accuracy } = { accuracy: null, ...result };
  return {
    id,
    status: statusOf(record, isWaiting),
    epochs: Number(config["epochs"]),
    seed,
    step,
    steps,
    progress: Math.floor((100 * step) / steps),
    loss: last?.metrics["loss"] ?? null,
    accuracy: typeof accuracy === "number" ? accuracy : null,
    startedAt,
    endedAt: endedAt ?? null,
  };
}

function statusOf({ status, error }: RunRecord, isWaiting: boolean): TrainingJob["status"] {
  if (status === "running") return isWaiting ? "queued" : "training";
  if (status === "finished") return "done";
  return error?.code === "CALL_ABORTED" ? "cancelled" : "failed";
}

/** What trainings do, in files of JSON lines. */
export const trainingRuns = runLog("trainingRuns", {
  needs: { settings },
  criticality: "optional",
  readiness: "ignore",
  options: ({ settings }) => ({ folder: join(settings.dataDir, "training/runs") }),
});

/** Trains in a thread, which lives as long as a training and alone loads the engine. */
export const trainer = dataParallelTrainer("trainer", {
  module: new URL("./net.js", import.meta.url),
  criticality: "optional",
  readiness: "ignore",
});

/** Trainings of this instance. */
export const trainingJobs = resource("trainingJobs", {
  needs: { runs: trainingRuns, trainer, settings, log },
  readiness: "ignore",
  async start({ runs, trainer, settings, log }) {
    const folder = join(settings.dataDir, "training");
    const scores = join(settings.dataDir, "models/score");
    const jobs = new TrainingJobs({ runs, trainer, log, folder, scores, assertEngine });
    await jobs.recover();
    return jobs;
  },
  run: (_needs, { signal, value }) => value.run(signal),
});
