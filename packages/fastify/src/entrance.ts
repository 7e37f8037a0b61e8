import { AsyncResource } from "node:async_hooks";
import type { Container, RunningContainer } from "@steward/container";
import { runWithContext, systemClock, type Binding, type MetricSample } from "@steward/core";
import type { FastifyBaseLogger } from "fastify";
import type { BackgroundStats, Task } from "./background.ts";
import { fastifyError } from "./errors.ts";

/** Numbers of what goes on between requests and the container. */
export interface StewardStats {
  /** Requests whose scope is open. */
  readonly openRequests: number;
  /** Scopes whose release goes on now. */
  readonly releasing: number;
  readonly background: BackgroundStats;
}

/** Where the container comes from. */
export type RunningSource =
  | { readonly container: Container<string>; readonly inputs: readonly Binding[] }
  | (() => RunningContainer | undefined);

/** What joins an app and its container: the way in for requests, and what has to end before resources stop. */
export class Entrance {
  readonly log: FastifyBaseLogger;
  #source: RunningSource;
  #running: RunningContainer | undefined;
  #open = 0;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #tasks = new Set<Task>();
  #done = 0;
  #failed = 0;
  #lost = 0;

  constructor(source: RunningSource, log: FastifyBaseLogger) {
    this.#source = source;
    this.log = log;
  }

  /** The container, once it runs. */
  get running(): RunningContainer | undefined {
    return typeof this.#source === "function" ? this.#source() : this.#running;
  }

  /** Replaces the container before it has started. */
  replaceContainer(change: (container: Container<string>) => Container<string>): boolean {
    if (typeof this.#source === "function" || this.#running !== undefined) return false;
    this.#source = { ...this.#source, container: change(this.#source.container) };
    return true;
  }

  async start(): Promise<void> {
    if (typeof this.#source === "function") return;
    const { container, inputs } = this.#source;
    this.#running = await (container as Container).start(inputs as readonly []); // the plugin's options have checked the inputs
  }

  /** Runs what comes after a response: with the request's id, and without its deadline or its signal, which are over. */
  readonly afterwards: <T>(requestId: string, work: () => T) => T = AsyncResource.bind(
    <T>(requestId: string, work: () => T): T => runWithContext({ requestId }, work),
  );

  opened(): void {
    this.#open++;
  }

  closed(): void {
    this.#open--;
  }

  /** Waits for something before resources stop. */
  track(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work
      .catch((error: unknown) => this.log.error({ err: error }, "work after a response failed"))
      .finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  taskQueued(task: Task): void {
    this.#tasks.add(task);
  }

  /** Runs a task, unless it was given up; each task has one outcome. */
  async runTask(task: Task): Promise<void> {
    if (!this.#tasks.has(task)) return;
    try {
      const { running } = this;
      if (task.needs === undefined) await task.run({} as never); // it wants no values
      else if (running === undefined)
        throw fastifyError("BACKGROUND_LOST", `"${task.name}" cannot run: the container is not up`);
      else await running.scope([], task.needs as {}, (values) => task.run(values as never)); // its own signature has checked the needs
      if (this.#tasks.delete(task)) this.#done++;
    } catch (error) {
      if (this.#tasks.delete(task)) this.#failed++;
      throw error;
    }
  }

  /** Tasks of a request that failed are not run. */
  forget(tasks: readonly Task[]): void {
    for (const task of tasks) this.#tasks.delete(task);
  }

  /** Waits for requests and their cleanup; then stops the container, if it is this app's own. All of it within the time. */
  async stop(timeoutMs: number): Promise<void> {
    const until = systemClock.now() + timeoutMs;
    await this.#settle(requestShare(timeoutMs));
    this.#reportLost();
    const running = this.#running;
    this.#running = undefined;
    if (typeof this.#source === "function") return;
    await running?.stop({ timeoutMs: Math.max(1, Math.round(until - systemClock.now())) });
  }

  async #settle(timeoutMs: number): Promise<void> {
    const until = systemClock.now() + timeoutMs;
    while (this.#pending.size > 0 && systemClock.now() < until)
      await Promise.race([Promise.allSettled(this.#pending), deadline(until)]);
  }

  #reportLost(): void {
    if (this.#tasks.size === 0) return;
    const names = [...this.#tasks].map(({ name }) => name);
    this.#lost += names.length;
    this.#tasks.clear();
    this.log.error(
      {
        err: fastifyError(
          "BACKGROUND_LOST",
          `${names.length} background tasks had not ended when the app had to stop: ${names.join(", ")}`,
        ),
      },
      "background tasks were lost",
    );
  }

  /** The same numbers as series. */
  *metrics(): Iterable<MetricSample> {
    const series = (
      name: string,
      kind: "counter" | "gauge",
      unit: string,
      value: number,
      attributes: MetricSample["attributes"] = {},
    ): MetricSample => ({ name, kind, unit, value, attributes });
    yield series("steward.requests.open", "gauge", "{request}", this.#open);
    yield series("steward.background.pending", "gauge", "{task}", this.#tasks.size);
    for (const [outcome, value] of [
      ["done", this.#done],
      ["failed", this.#failed],
      ["lost", this.#lost],
    ] as const)
      yield series("steward.background.tasks", "counter", "{task}", value, { outcome });
  }

  stats(): StewardStats {
    return {
      openRequests: this.#open,
      releasing: this.#pending.size,
      background: { pending: this.#tasks.size, done: this.#done, failed: this.#failed, lost: this.#lost },
    };
  }
}

/** Longest time that is kept for the container's stop, in ms. */
const CONTAINER_MS = 5_000;

/** How much of the time for closing requests may have, in ms. */
export function requestShare(timeoutMs: number): number {
  return timeoutMs - Math.min(CONTAINER_MS, timeoutMs / 4);
}

function deadline(until: number): Promise<void> {
  return systemClock.sleep(Math.max(0, until - systemClock.now()));
}
