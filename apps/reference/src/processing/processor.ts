import { resource, runWithContext, systemClock } from "@steward/core";
import { checkHealth } from "@steward/grpc";
import { log } from "../resources/log.ts";
import { renderer } from "../renderer/resources.ts";
import { Renderer, RENDERER } from "../renderer/service.ts";
import { speech } from "../speech/speech.ts";
import { videos } from "../videos/videos.ts";
import { hub, roomOf } from "./hub.ts";
import { jobs, publicJob, type Claim } from "./jobs.ts";
import type { StoredJob } from "./table.ts";
import { Work, type Patience, type WorkPlan } from "./work.ts";

const MOST_JOBS = 8;
const LOOK_MS = 1_000;
const HEALTH_MS = 2_000;
const PATIENCE: Patience = { maxFailures: 8, baseDelayMs: 200, maxDelayMs: 10_000 };

/** Takes jobs that are due, of whichever instance, and works on a few at once. While the renderer is away they wait. */
export class Processor {
  readonly #plan: WorkPlan;
  readonly #running = new Set<Promise<void>>();
  #nap: AbortController | undefined;
  #isWoken = false;
  #isTroubled = false;

  constructor(plan: WorkPlan) {
    this.#plan = plan;
  }

  /** Until `signal` aborts; then it gives back what it works on, for others to go on with, and resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const forget = this.#plan.jobs.onQueued(() => this.#wake());
    while (!signal.aborted) {
      this.#isWoken = false;
      await this.#take(signal);
      if (!this.#isWoken) await this.#rest(signal);
    }
    forget();
    await Promise.all(this.#running);
  }

  #wake(): void {
    this.#isWoken = true;
    this.#nap?.abort();
  }

  /** Until it is woken, or the time has come to look what other instances have left. */
  async #rest(signal: AbortSignal): Promise<void> {
    this.#nap = new AbortController();
    await this.#plan.clock.sleep(LOOK_MS, AbortSignal.any([signal, this.#nap.signal])).catch(() => {});
    this.#nap = undefined;
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { jobs, log } = this.#plan;
    try {
      while (this.#running.size < MOST_JOBS && (await jobs.isAnyDue()) && (await this.#isServed(signal))) {
        const claim = await jobs.claim();
        if (claim === undefined) break;
        this.#begin(claim, signal);
      }
      this.#isTroubled = false;
    } catch (error) {
      if (!this.#isTroubled) log.warn({ err: error }, "jobs cannot be looked at; trying again");
      this.#isTroubled = true;
    }
  }

  async #isServed(signal: AbortSignal): Promise<boolean> {
    const asked = checkHealth(this.#plan.renderer, RENDERER, { timeoutMs: HEALTH_MS, signal });
    const answer = await asked.catch(() => "UNKNOWN");
    return answer === "SERVING" && !signal.aborted;
  }

  #begin(claim: Claim, stop: AbortSignal): void {
    const work = new Work(this.#plan, claim, stop);
    // The job's id goes to the renderer as the id of the request.
    const context = { requestId: claim.job.id, traceContext: claim.job.trace ?? undefined };
    const running = runWithContext(context, () => work.run()).then((delayMs) => {
      this.#running.delete(running);
      if (delayMs === undefined) this.#wake();
      else this.#plan.clock.setTimeout(() => this.#wake(), delayMs, { unref: true });
    });
    this.#running.add(running);
  }
}

/** Processes videos in the background. At shutdown it gives back what it works on; the next to start goes on with it. */
export const processor = resource("processor", {
  needs: { jobs, videos, renderer, hub, speech, log },
  readiness: "ignore",
  start: ({ jobs, videos, renderer, hub, speech, log }) =>
    new Processor({
      jobs,
      videos,
      renderer: renderer.as(Renderer),
      listen: (video, signal) => speech.listen(video, signal),
      // Who misses it can ask, so that neither a full broker nor one that is down holds up any work.
      announce: (job: StoredJob) => void hub.publish(roomOf(job.videoId), publicJob(job)).catch(() => {}),
      patience: PATIENCE,
      clock: systemClock,
      log,
    }),
  run: (_needs, { signal, value }) => value.run(signal),
});
