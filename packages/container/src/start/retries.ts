import type { Clock, Timer } from "@steward/core";
import { backoffMs } from "@steward/core/container";
import type { LiveNode } from "../lifecycle/live-node.ts";

const DELAYS = { minMs: 250, maxMs: 30_000 };

/** One resource that is being tried. */
interface Trying {
  readonly abort: AbortController;
  timer: Timer | undefined;
  running: Promise<void> | undefined;
}

/** Tries to start optional resources that are down, each with its own growing, jittered delay. */
export class Retries {
  readonly #clock: Clock;
  readonly #onUp: (node: LiveNode) => void;
  readonly #trying = new Map<LiveNode, Trying>();
  #closed = false;

  constructor(clock: Clock, onUp: (node: LiveNode) => void) {
    this.#clock = clock;
    this.#onUp = onUp;
  }

  /** Begins to try one. */
  add(node: LiveNode): void {
    if (this.#closed || this.#trying.has(node)) return;
    const trying: Trying = { abort: new AbortController(), timer: undefined, running: undefined };
    this.#trying.set(node, trying);
    this.#plan(node, trying, 0);
  }

  #plan(node: LiveNode, trying: Trying, attempt: number): void {
    const begin = (): void => {
      trying.timer = undefined;
      trying.running = this.#try(node, trying, attempt);
    };
    trying.timer = this.#clock.setTimeout(begin, backoffMs(attempt, DELAYS, "equal"), { unref: true });
  }

  async #try(node: LiveNode, trying: Trying, attempt: number): Promise<void> {
    try {
      await node.manager?.start({ signal: trying.abort.signal });
    } catch {
      if (!trying.abort.signal.aborted) this.#plan(node, trying, attempt + 1); // why it is down is in the state of its manager
      return;
    }
    if (trying.abort.signal.aborted) return; // who aborted it stops it
    this.#trying.delete(node);
    this.#onUp(node);
  }

  /** Gives up on some: they are stopped next. Resolves once none of them is being tried any more. */
  async drop(nodes: Iterable<LiveNode>): Promise<void> {
    const running: Promise<void>[] = [];
    for (const node of nodes) {
      const trying = this.#trying.get(node);
      if (trying === undefined) continue;
      this.#trying.delete(node);
      trying.abort.abort();
      trying.timer?.cancel();
      if (trying.running !== undefined) running.push(trying.running);
    }
    await Promise.all(running);
  }

  /** Gives up on all; resolves once nothing is being tried any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drop(this.#trying.keys());
  }
}
