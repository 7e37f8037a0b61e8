import { sharedAbortController, type Clock, type Timer } from "@steward/core";
import { backoffMs } from "./backoff.ts";
import type { LiveNode } from "./node.ts";

const DELAYS = { baseDelayMs: 250, maxDelayMs: 30_000 };

/** Tries to start optional resources that are down, each with its own growing, jittered delay. */
export class Retries {
  readonly #clock: Clock;
  readonly #onUp: (node: LiveNode) => void;
  readonly #timers = new Map<LiveNode, Timer>();
  readonly #abort = sharedAbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(clock: Clock, onUp: (node: LiveNode) => void) {
    this.#clock = clock;
    this.#onUp = onUp;
  }

  /** Begins to try one. */
  add(node: LiveNode, attempt = 0): void {
    if (this.#abort.signal.aborted) return;
    this.#timers.set(
      node,
      this.#clock.setTimeout(() => this.#begin(node, attempt), backoffMs(attempt, DELAYS), { unref: true }),
    );
  }

  #begin(node: LiveNode, attempt: number): void {
    this.#timers.delete(node);
    const running = this.#try(node, attempt).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #try(node: LiveNode, attempt: number): Promise<void> {
    try {
      await node.manager?.start({ signal: this.#abort.signal });
      this.#onUp(node);
    } catch {
      this.add(node, attempt + 1); // why it is down is in the state of its manager
    }
  }

  /** Gives up; resolves once nothing is being tried any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    await Promise.all(this.#running);
  }
}
