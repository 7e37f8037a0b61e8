import { FakeClock } from "@steward/core/testing";
import { CacheManager, type Cache, type CacheOptions } from "../src/index.ts";

/** A started cache on a clock of its own. */
export async function make<V>(
  options: CacheOptions = {},
): Promise<{ manager: CacheManager<V>; cache: Cache<V>; clock: FakeClock }> {
  const clock = new FakeClock();
  const manager = new CacheManager<V>({ jitter: 0, ...options }, { clock });
  await manager.start();
  return { manager, cache: manager.client, clock };
}

/** A load that ends when it is told to, and counts how often it was begun. */
export class Held<T> {
  count = 0;
  signal: AbortSignal | undefined;
  readonly #ends: ((value: T) => void)[] = [];

  readonly load = (signal: AbortSignal): Promise<T> => {
    this.count++;
    this.signal = signal;
    return new Promise<T>((resolve) => this.#ends.push(resolve));
  };

  /** Ends the load that was begun first. */
  end(value: T): void {
    this.#ends.shift()?.(value);
  }
}
