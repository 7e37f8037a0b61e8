import type { Clock } from "@steward/core";
import { LRUCache } from "lru-cache";

/** What was found to be good, for a while. What is found out while all is forgotten is not kept. */
export class Remembered<V extends {}> {
  readonly #kept: LRUCache<string, V> | undefined;
  #generation = 0;

  /**
   * @param max How many; 0 for none.
   * @param ttlMs For how long; 0 for not at all.
   */
  constructor(clock: Clock, max: number, ttlMs: number) {
    const perf = { now: () => clock.now() + 1 }; // an entry that was made at 0 would never end
    if (max > 0 && ttlMs > 0) this.#kept = new LRUCache({ max, ttl: ttlMs, ttlResolution: 0, perf });
  }

  get size(): number {
    return this.#kept?.size ?? 0;
  }

  get(key: string): V | undefined {
    return this.#kept?.get(key);
  }

  /** Call it before something is found out: what it gives keeps the outcome, unless all was forgotten meanwhile. */
  begin(): (key: string, value: V) => void {
    const generation = this.#generation;
    return (key, value) => {
      if (generation === this.#generation) this.#kept?.set(key, value);
    };
  }

  /** Finds one out anew. */
  drop(key: string): void {
    this.#generation++;
    this.#kept?.delete(key);
  }

  /** Finds everything out anew. */
  forget(): void {
    this.#generation++;
    this.#kept?.clear();
  }
}
