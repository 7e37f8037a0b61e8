import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type HealthEvent, type StateEvent } from "@steward/core";
import { type ContainerEvents, describeError } from "@steward/core/container";
import type { RunningContainer } from "../running.ts";
import type { MainLogger, ShutdownInfo } from "./options.ts";

/**
 * Says in a log what becomes of one container: what started and in what time, what goes down and comes up again, what is
 * tried again, and how it ends. Failures reach the log as errors of `runMain`, so they are not said here as well.
 */
export class MainLog {
  readonly #logger: MainLogger;
  /** Why the last start of a resource failed, until it is up. */
  readonly #failedStarts = new Map<string, unknown>();
  #running: RunningContainer | undefined;

  constructor(logger: MainLogger) {
    this.#logger = logger;
  }

  /** Listens to what happens to a container that begins to start. */
  follow(running: RunningContainer): void {
    this.#running = running;
    subscribe(CHANNELS.state, this.#onState);
    subscribe(CHANNELS.health, this.#onHealth);
    subscribe(CHANNELS.restart, this.#onRestart);
    subscribe(CHANNELS.shutdown, this.#onShutdown);
  }

  end(): void {
    unsubscribe(CHANNELS.state, this.#onState);
    unsubscribe(CHANNELS.health, this.#onHealth);
    unsubscribe(CHANNELS.restart, this.#onRestart);
    unsubscribe(CHANNELS.shutdown, this.#onShutdown);
  }

  /** Everything is up that has to be. */
  started(running: RunningContainer): void {
    const { nodes } = running.graph();
    const up = nodes.flatMap(({ name, state, startedInMs = 0 }) =>
      state === "ready" ? [`${name} ${Math.round(startedInMs)} ms`] : [],
    );
    this.#logger.info(
      `${running.name}: started ${up.length} of ${nodes.length} in ${Math.round(running.startedInMs)} ms: ${up.join(", ")}`,
    );
  }

  shutdown({ reason, delayMs, timeoutMs }: ShutdownInfo): void {
    const delay = delayMs > 0 ? `takes work for ${delayMs} ms more, ` : "";
    this.#logger.info(`${this.#name}: shutdown (${reason}): ${delay}ends within ${timeoutMs} ms`);
  }

  exits(code: number): void {
    this.#logger.info(`${this.#name}: exits with ${code}`);
  }

  failed(text: string): void {
    this.#logger.error(text);
  }

  get #name(): string {
    return this.#running?.name ?? "container";
  }

  /** The channel is of the whole process, and an event of a resource does not say of which container. */
  readonly #onState = (message: unknown): void => {
    const { resource, from, to, error } = message as StateEvent; // what the channel carries
    if (to === "failed" && this.#holds(resource)) this.#failedStarts.set(resource, error);
    else if (to === "ready") this.#failedStarts.delete(resource); // that it is healthy is said below
    else if (from === "failed" && to === "starting" && this.#failedStarts.has(resource))
      this.#logger.warn(`${resource}: starts again, after: ${describeError(this.#failedStarts.get(resource))}`);
  };

  #holds(resource: string): boolean {
    return this.#running?.graph().nodes.some(({ name }) => name === resource) === true;
  }

  readonly #onHealth = (message: unknown): void => {
    const { resource, from, to, reason } = this.#ours("health", message) ?? NOTHING;
    if (to === "unhealthy" || to === "degraded") this.#logger.warn(`${resource}: ${to}: ${reason}`);
    else if (to === "healthy" && from !== "unknown") this.#logger.info(`${resource}: healthy again`);
  };

  readonly #onRestart = (message: unknown): void => {
    const event = this.#ours("restart", message);
    if (event === undefined) return;
    const { resource, step, durationMs, error } = event;
    const text = `${resource}: restart ${step}`;
    if (step === "began") this.#logger.info(text);
    else if (step === "ended") this.#logger.info(`${text} after ${Math.round(durationMs)} ms`);
    else this.#logger.warn(`${text} after ${Math.round(durationMs)} ms: ${describeError(error)}`);
  };

  /** What failed, and that it was announced, `runMain` says itself. */
  readonly #onShutdown = (message: unknown): void => {
    const event = this.#ours("shutdown", message);
    if (event === undefined || event.phase === "announced") return;
    this.#logger.info(
      `${event.container}: ${event.phase}, ${Math.round(event.durationMs)} ms after the shutdown began`,
    );
  };

  #ours<K extends keyof ContainerEvents>(_kind: K, message: unknown): ContainerEvents[K] | undefined {
    const event = message as ContainerEvents[K]; // what the channel of that kind carries
    return event.container === this.#running?.name ? event : undefined;
  }
}

const NOTHING: Partial<HealthEvent> = {};
