import type { Clock, ContainerEvent } from "@steward/core";
import { isHeard, publishEvent, type ContainerEvents } from "@steward/core/container";

/** What happened, without what every event of a container carries. */
export type Happened<K extends keyof ContainerEvents> = Omit<ContainerEvents[K], keyof ContainerEvent>;

/** Publishes what happens in one container. What has no subscriber costs nothing and has no number. */
export class Events {
  /** Name of the container. */
  readonly container: string;
  readonly #clock: Clock;
  #sequence = 0;
  #shutdownSince: number | undefined;

  constructor(container: string, clock: Clock) {
    this.container = container;
    this.#clock = clock;
  }

  /** Publishes what happened, where it has a subscriber. */
  publish<K extends keyof ContainerEvents>(kind: K, what: Happened<K>): void {
    if (isHeard(kind)) publishEvent(kind, this.stamped(what));
  }

  /** Publishes a phase of the shutdown, with the time since its first one. */
  shutdown(phase: ContainerEvents["shutdown"]["phase"], error?: unknown): void {
    const now = this.#clock.now();
    this.#shutdownSince ??= now;
    this.publish("shutdown", { phase, durationMs: now - this.#shutdownSince, error });
  }

  /** An event with the name of the container, the time and its number. */
  stamped<K extends keyof ContainerEvents>(what: Happened<K>): ContainerEvents[K] {
    const stamp: ContainerEvent = {
      container: this.container,
      time: this.#clock.wallNow(),
      sequence: ++this.#sequence,
    };
    return Object.freeze({ ...stamp, ...what }) as ContainerEvents[K]; // `Happened` left out what `stamp` has
  }
}
