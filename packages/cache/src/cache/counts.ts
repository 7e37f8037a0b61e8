import type { MetricSample } from "@steward/core";
import { Histogram } from "@steward/core/driver";

/** What was found at a look-up. */
export type Found = "fresh" | "stale" | "absent" | "miss";
/** Where. */
export type Level = "local" | "remote";
/** How a load ended. */
export type LoadOutcome = "value" | "absent" | "error" | "timeout" | "aborted";
/** What was made void. */
export type VoidKind = "delete" | "expire" | "tag" | "clear" | "set";

/** Numbers of a cache since it was made. */
export interface CacheStats {
  /** Look-ups that gave something: fresh, stale, or that there is none. */
  readonly hits: number;
  readonly misses: number;
  /** `hits / (hits + misses)`; 0 before the first look-up. */
  readonly hitRatio: number;
  /** Loads that were begun. */
  readonly loads: number;
  /** Loads under way now. */
  readonly loading: number;
  /** Results that were not kept, because something that concerns them was made void meanwhile. */
  readonly refusedWrites: number;
  /** Values that were too large, or could not be turned into bytes. */
  readonly unstorable: number;
  /** Values from Redis that could not be read; they count as misses. */
  readonly broken: number;
  /** Waits for a load of another process. */
  readonly waits: number;
  /** Entries that this process holds. */
  readonly entries: number;
  readonly bytes: number;
  /** Entries that had to make room for others. */
  readonly evictions: number;
  /** Invalidations that other processes have not got yet. */
  readonly owed: number;
}

/** Counts what a cache does. */
export class Counts {
  readonly #found: Record<Level, Record<Found, number>> = {
    local: { fresh: 0, stale: 0, absent: 0, miss: 0 },
    remote: { fresh: 0, stale: 0, absent: 0, miss: 0 },
  };
  readonly #loads: Record<LoadOutcome, number> = { value: 0, absent: 0, error: 0, timeout: 0, aborted: 0 };
  readonly #voided: Record<VoidKind, number> = { delete: 0, expire: 0, tag: 0, clear: 0, set: 0 };
  readonly #drops = new Map<string, number>();
  readonly #durations = new Histogram();
  /** The most frequent case has a field of its own. */
  localHits = 0;
  loads = 0;
  refusedWrites = 0;
  unstorable = 0;
  broken = 0;
  waits = 0;

  found(level: Level, what: Found): void {
    this.#found[level][what]++;
  }

  loaded(outcome: LoadOutcome, tookMs: number): void {
    this.#loads[outcome]++;
    this.#durations.record(tookMs / 1_000);
  }

  voided(kind: VoidKind): void {
    this.#voided[kind]++;
  }

  /** All that this process held was dropped. */
  dropped(reason: string): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  get hits(): number {
    const { local, remote } = this.#found;
    return this.localHits + local.stale + local.absent + remote.fresh + remote.stale + remote.absent;
  }

  /** Look-ups that found nothing anywhere. */
  get misses(): number {
    return this.#found.remote.miss;
  }

  *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    for (const level of ["local", "remote"] as const)
      for (const [result, count] of Object.entries(this.#found[level])) {
        const value = level === "local" && result === "fresh" ? this.localHits : count;
        const of = { ...attributes, level, result };
        yield { name: "steward.cache.lookups", kind: "counter", unit: "{lookup}", attributes: of, value };
      }
    for (const [outcome, value] of Object.entries(this.#loads)) {
      const of = { ...attributes, outcome };
      yield { name: "steward.cache.loads", kind: "counter", unit: "{load}", attributes: of, value };
    }
    const value = this.#durations.value();
    yield { name: "steward.cache.load.duration", kind: "histogram", unit: "s", attributes, value };
    for (const [kind, value] of Object.entries(this.#voided)) {
      const of = { ...attributes, kind };
      yield { name: "steward.cache.invalidations", kind: "counter", unit: "{invalidation}", attributes: of, value };
    }
    for (const [reason, value] of this.#drops) {
      const of = { ...attributes, reason };
      yield { name: "steward.cache.local_drops", kind: "counter", unit: "{drop}", attributes: of, value };
    }
    yield {
      name: "steward.cache.refused_writes",
      kind: "counter",
      unit: "{write}",
      attributes,
      value: this.refusedWrites,
    };
    yield { name: "steward.cache.waits", kind: "counter", unit: "{wait}", attributes, value: this.waits };
    yield { name: "steward.cache.broken", kind: "counter", unit: "{value}", attributes, value: this.broken };
  }
}
