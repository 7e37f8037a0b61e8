import type { Clock } from "@steward/core";

/** Who waits for the load of another process. */
export class Waiters {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when the load of a key has ended, or after `ms`. */
  wait(key: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const all = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, all);
      const end = (): void => {
        timer.cancel();
        if (all.delete(end) && all.size === 0 && this.#waiting.get(key) === all) this.#waiting.delete(key);
        resolve();
      };
      const timer = this.#clock.setTimeout(end, ms);
      all.add(end);
    });
  }

  wake(key: string): void {
    for (const end of this.#waiting.get(key) ?? []) end();
  }

  wakeAll(): void {
    for (const key of this.#waiting.keys()) this.wake(key);
  }
}
