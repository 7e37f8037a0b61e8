import { systemClock, type Clock, type Timer } from "@steward/core";
import type { Running } from "./running.ts";

/** How a monitor probes. */
export interface MonitorOptions {
  /** Time between the end of one round of probes and the next, in ms, 10 % more or less so that instances drift apart. Default 10,000. */
  readonly intervalMs?: number;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock;
}

/** Probes of a container's resources, going on until stopped. */
export interface Monitor extends AsyncDisposable {
  /** Begins no further round, and waits for the one under way. */
  stop(): Promise<void>;
}

const INTERVAL_MS = 10_000;
const JITTER = 0.1;

/**
 * Probes every resource of a container again and again, so that `running.health()` knows how they are. All are probed
 * at once, each one once at a time; one timer, which does not keep the process alive.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container, monitorHealth } from "@steward/container";
 * const db = resource("db", { start: () => "db", probe: () => {} });
 * await using running = await container([db]).start();
 * await using monitor = monitorHealth(running, { intervalMs: 5_000 });
 * console.log(running.health().status); // => healthy
 * ```
 */
export function monitorHealth(running: Pick<Running, "probe">, options: MonitorOptions = {}): Monitor {
  return new RoundMonitor(running, options);
}

class RoundMonitor implements Monitor {
  readonly #running: Pick<Running, "probe">;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #timer: Timer | undefined;
  #round: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(running: Pick<Running, "probe">, { intervalMs = INTERVAL_MS, clock = systemClock }: MonitorOptions) {
    this.#running = running;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#arm();
  }

  #arm(): void {
    if (this.#stopped) return;
    const delayMs = this.#intervalMs * (1 + JITTER * (2 * Math.random() - 1));
    this.#timer = this.#clock.setTimeout(() => (this.#round = this.#probe()), delayMs, { unref: true });
  }

  async #probe(): Promise<void> {
    await this.#running.probe().catch(() => {}); // what a probe finds is in the health of its resource
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#round;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
