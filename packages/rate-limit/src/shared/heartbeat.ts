import { randomUUID } from "node:crypto";
import type { Clock, Timer } from "@steward/core";
import type { SharedCounter } from "./shared-counter.ts";

/** Between two signs of life of an instance, in ms. */
const INTERVAL_MS = 5_000;

/** Counts the instances that share a budget: each says every 5 s that it is there. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #counter: SharedCounter;
  readonly #id: string = randomUUID();
  readonly #failed: (cause: unknown) => void;
  #instances = 1;
  #timer: Timer | undefined;
  /** Which start a sign of life belongs to. */
  #run: object | undefined;

  constructor(clock: Clock, counter: SharedCounter, failed: (cause: unknown) => void) {
    this.#clock = clock;
    this.#counter = counter;
    this.#failed = failed;
  }

  /** How many instances there are, as Redis said last. */
  get instances(): number {
    return this.#instances;
  }

  start(): Promise<void> {
    this.#run = {};
    return this.#beat(this.#run);
  }

  /** Its share is free at once, unless Redis does not answer: then after 15 s. */
  async stop(): Promise<void> {
    this.#run = undefined;
    this.#timer?.cancel();
    await this.#counter.gone(this.#id).catch(() => {});
  }

  async #beat(run: object): Promise<void> {
    try {
      this.#instances = Math.max(1, await this.#counter.heartbeat(this.#id));
    } catch (cause) {
      this.#failed(cause); // the number that was known last goes on
    }
    if (this.#run === run)
      this.#timer = this.#clock.setTimeout(() => void this.#beat(run), INTERVAL_MS, { unref: true });
  }
}
