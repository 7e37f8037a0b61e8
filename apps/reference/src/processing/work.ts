import type { Clock } from "@steward/core";
import type { FastifyBaseLogger } from "fastify";
import type { RendererClient } from "../renderer/generated/clips/v1/Renderer.ts";
import type { ShownVideo } from "../videos/cached.ts";
import type { Videos } from "../videos/videos.ts";
import type { Claim, Jobs } from "./jobs.ts";
import { failureOf, renderRemotely } from "./rendering.ts";
import type { StoredJob } from "./table.ts";

/** How often a job is tried again, and after which pauses. */
export interface Patience {
  /** Failures in a row, without a step in between, after which a job has failed. */
  readonly maxFailures: number;
  /** Longest pause after the first failure, in ms; it doubles with each. */
  readonly baseDelayMs: number;
  /** Longest pause, in ms. */
  readonly maxDelayMs: number;
}

/** What work on jobs needs. */
export interface WorkPlan {
  readonly jobs: Jobs;
  readonly videos: Pick<Videos, "find">;
  readonly renderer: RendererClient;
  /** Finds speech in what was rendered. */
  readonly listen: (video: ShownVideo, signal: AbortSignal) => Promise<void>;
  /** Announces how a job stands. */
  readonly announce: (job: StoredJob) => void;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Pick<FastifyBaseLogger, "info" | "warn">;
}

/** How many times a lease is renewed within its length. */
const RENEWALS = 3;

/** The work on one job, from where an earlier one has left it until it is done, has failed, or is given back. */
export class Work {
  readonly #plan: WorkPlan;
  readonly #claim: Claim;
  readonly #stop: AbortSignal;
  #job: StoredJob;

  /** @param stop aborts when the job has to be given back. */
  constructor(plan: WorkPlan, claim: Claim, stop: AbortSignal) {
    this.#plan = plan;
    this.#claim = claim;
    this.#stop = stop;
    this.#job = claim.job;
  }

  /** Never rejects. @returns when the job may be taken again, in ms from now; `undefined` when it has ended or is another's. */
  async run(): Promise<number | undefined> {
    const { lease } = this.#claim;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#stop, lease.signal, ended.signal]);
    const keeping = this.#keep(signal);
    try {
      this.#plan.announce(this.#job);
      await this.#render(signal);
      this.#plan.announce(await this.#plan.jobs.finish(this.#claim));
      return undefined;
    } catch (error) {
      return await this.#giveBack(error);
    } finally {
      ended.abort();
      lease.end();
      await keeping;
    }
  }

  /** Renews the lease, also while no step is done. What fails is tried again; the lease knows when it is too late. */
  async #keep(signal: AbortSignal): Promise<void> {
    const { jobs, clock } = this.#plan;
    for (;;) {
      await clock.sleep(jobs.leaseMs / RENEWALS, signal).catch(() => {});
      if (signal.aborted) return;
      await jobs.renew(this.#claim).catch(() => {});
    }
  }

  async #render(signal: AbortSignal): Promise<void> {
    const { jobs, videos, renderer, announce } = this.#plan;
    const video = await videos.find(this.#job.videoId);
    if (video === undefined) throw new Error("its video is gone");
    for await (const step of renderRemotely(renderer, this.#job, video, signal)) {
      if (step.checkpoint.position <= this.#job.position) continue;
      this.#job = await jobs.advance(this.#claim, step);
      // No step is announced by one whose job another instance may have gone on with.
      this.#claim.lease.check();
      announce(this.#job);
    }
    if (this.#job.progress < 100) throw new Error(`the renderer ended at ${this.#job.progress} %`);
    await this.#plan.listen(video, signal);
  }

  async #giveBack(error: unknown): Promise<number | undefined> {
    const { jobs, announce, log } = this.#plan;
    const { id: jobId, failures } = this.#job;
    try {
      this.#claim.lease.check();
      if (this.#stop.aborted) {
        announce(await jobs.release(this.#claim, { delayMs: 0 }));
        return undefined;
      }
      const { final, reason } = failureOf(error);
      const delayMs = final ? undefined : this.#pause(failures + 1);
      log.warn({ err: error, jobId, failures: failures + 1, delayMs }, "processing was interrupted");
      announce(
        delayMs === undefined
          ? await jobs.fail(this.#claim, reason)
          : await jobs.release(this.#claim, { delayMs, error: reason }),
      );
      return delayMs;
    } catch (cause) {
      // The next to take it when its lease is over goes on with it.
      log.warn({ err: cause, jobId }, "a job could not be given back");
      return undefined;
    }
  }

  /** The pause after so many failures in a row; `undefined` after the last one. */
  #pause(failures: number): number | undefined {
    const { maxFailures, baseDelayMs, maxDelayMs } = this.#plan.patience;
    if (failures >= maxFailures) return undefined;
    const ceiling = Math.min(maxDelayMs, baseDelayMs * 2 ** (failures - 1));
    return ceiling / 2 + (Math.random() * ceiling) / 2;
  }
}
