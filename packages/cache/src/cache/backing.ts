import type { MetricSample } from "@steward/core";
import type { Trouble } from "@steward/core/container";
import type { Known } from "../local/entry.ts";
import type { Marks } from "../local/marks.ts";
import type { Policy } from "./call-options.ts";
import type { Flight } from "./flight.ts";
import type { Invalidated, Load, Lookup } from "./types.ts";

/** What a flight is to bring. */
export interface Wanted {
  readonly load: Load<unknown>;
  readonly policy: Policy;
  /** The tags of a value, as they are kept. */
  readonly tagsOf: (known: Known) => readonly string[];
  /** True when somebody has an older value already. */
  readonly isRefresh: boolean;
  /** True when who began it waits for a new value where there is a stale one. */
  readonly waitForRefresh: boolean;
  /** Called once it is clear that this flight does not load now, because there is a value or another one loads it. */
  readonly found?: (() => void) | undefined;
}

/** A value to be stored. */
export interface Stored {
  readonly value: unknown;
  readonly tags: readonly string[];
  readonly ttlMs: number;
  readonly staleMs: number;
}

/** What is to be made void. */
export type Void =
  | { readonly kind: "delete" | "expire"; readonly key: string }
  | { readonly kind: "tag"; readonly tags: readonly string[] }
  | { readonly kind: "clear" };

/** Where a cache finds what this process does not hold: nowhere but in loads, or in what processes share. */
export interface Backing {
  /** What was made void among the keys to which this one belongs. */
  marksOf(key: string): Marks;
  /** Finds or loads a value, and keeps it. It may give an older one to those who wait before it is done. */
  obtain(flight: Flight, wanted: Wanted): Promise<Known>;
  /** Looks for a value; it loads nothing. */
  look(flight: Flight): Promise<Lookup<unknown>>;
  set(key: string, stored: Stored, strict: boolean): Promise<Invalidated>;
  void(what: Void, strict: boolean): Promise<Invalidated>;
  /** Invalidations that others have not got yet. */
  readonly owed: number;
  readonly trouble: Trouble | undefined;
  start(signal: AbortSignal): Promise<void>;
  probe(signal: AbortSignal): Promise<void>;
  stop(signal: AbortSignal): Promise<void>;
  series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample>;
}
