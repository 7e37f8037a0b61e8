import type { Definition } from "@steward/core";
import type { Cache } from "./cache/types.ts";
import { cache } from "./manager.ts";
import type { CacheOptions } from "./options.ts";

export { cacheContract, type CacheContractRunner, type Examined } from "./testing/contract.ts";

/**
 * A cache for tests, for `container.override`: in memory, whatever the one that it replaces is.
 *
 * @example
 * ```ts
 * import { cache } from "@steward/cache";
 * import { testCache } from "@steward/cache/testing";
 * import { container } from "@steward/container";
 * const names = cache<string>()("names", { ttlMs: 60_000 });
 * await using running = await container([names]).override(names, testCache<string>()).start();
 * await running.get(names).set("7", "Ada");
 * console.log(running.get(names).peek("7")); // => Ada
 * ```
 */
export function testCache<V>(name = "cache", options: CacheOptions = {}): Definition<Cache<V>> {
  return cache<V>()(name, options);
}
