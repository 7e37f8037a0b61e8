import { input, type InputDefinition } from "@steward/core";
import type { RunningContainer } from "@steward/container";

/**
 * The way from a server into the container that it is itself a resource of. The server listens while the rest starts,
 * so that probes are answered; other requests get 503 until the doorway is opened.
 */
export class Doorway {
  #running: RunningContainer | undefined;
  readonly #onOpen: (() => void)[] = [];

  /** The container, once it is up. */
  get running(): RunningContainer | undefined {
    return this.#running;
  }

  /**
   * Lets requests in.
   *
   * @throws {NOT_IN_GRAPH} {GRAPH_CAPTIVE} {GRAPH_CYCLE} when a route needs what the container does not hold.
   */
  open(running: RunningContainer): void {
    this.#running = running;
    for (const check of this.#onOpen) check();
  }

  /** @internal Called when the doorway opens. */
  onOpen(check: () => void): void {
    this.#onOpen.push(check);
  }
}

/** The doorway of a container's servers: `runMain(app, { inputs: [doorway.is(way)], onReady: (running) => way.open(running) })`. */
export const doorway: InputDefinition<Doorway, "application", "application:doorway"> = input<Doorway>()("doorway");
