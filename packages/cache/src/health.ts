import type { CacheStats } from "./cache/counts.ts";
import type { Keeper } from "./cache/keeper.ts";

/** The numbers of a cache, for stats and health documents. */
export function statsOf({ counts, local, flights }: Keeper, owed: number): CacheStats {
  const { hits, misses } = counts;
  return {
    hits,
    misses,
    hitRatio: hits + misses === 0 ? 0 : hits / (hits + misses),
    loads: counts.loads,
    loading: flights.size,
    refusedWrites: counts.refusedWrites,
    unstorable: counts.unstorable + local.oversized,
    broken: counts.broken,
    waits: counts.waits,
    entries: local.size,
    bytes: local.bytes,
    evictions: local.evictions,
    owed,
  };
}
