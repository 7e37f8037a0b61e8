import { Entry, type Known } from "../local/entry.ts";
import type { CoarseClock } from "../local/coarse-clock.ts";
import type { Local } from "../local/local.ts";
import type { Marks } from "../local/marks.ts";
import { bytesOf, deepFreeze } from "../local/measure.ts";
import type { CacheSettings } from "../options.ts";
import type { Counts } from "./counts.ts";
import type { Flight } from "./flight.ts";
import type { Flights } from "./flights.ts";

/** How a value is kept in this process. */
export interface Keep {
  readonly tags: readonly string[];
  /** Clock of the invalidations at which it was looked up. */
  readonly clock: number;
  readonly freshMs: number;
  readonly usableMs: number;
  /** How old it is already, in ms. Default 0. */
  readonly ageMs?: number | undefined;
  /** Bytes of its encoded form, where there is one. */
  readonly bytes?: number | undefined;
}

/** What this process holds and what is under way, with the one rule that joins them: nothing that is void is kept. */
export class Keeper {
  readonly local: Local;
  readonly flights: Flights;
  readonly counts: Counts;
  readonly #settings: CacheSettings;
  readonly #time: CoarseClock;

  constructor(settings: CacheSettings, time: CoarseClock, local: Local, flights: Flights, counts: Counts) {
    this.#settings = settings;
    this.#time = time;
    this.local = local;
    this.flights = flights;
    this.counts = counts;
  }

  /** A time, varied at random by the jitter of the cache. */
  vary(ms: number): number {
    return ms * (1 + (Math.random() * 2 - 1) * this.#settings.jitter);
  }

  /**
   * Keeps what a flight brought. `false` when something that concerns it was made void meanwhile. What cannot be kept as
   * `copy` says is counted, and the one before it is gone.
   */
  keep(flight: Flight, known: Known, how: Keep): boolean {
    if (!flight.mayKeep(how.clock, how.tags)) return false;
    try {
      this.put(flight.key, flight.marks, known, how);
    } catch {
      this.local.remove(flight.key, how.clock + 1);
      this.counts.unstorable++;
    }
    return true;
  }

  /** Keeps something that is newer than all else. Throws where its value cannot be kept as `copy` says. */
  put(key: string, marks: Marks, known: Known, { tags, clock, freshMs, usableMs, ageMs = 0, bytes }: Keep): void {
    if (usableMs <= 0) return this.local.remove(key, clock + 1);
    const { now } = this.#time;
    const held = this.#held(known);
    const entry = new Entry({
      known: held,
      tags,
      marks,
      clock,
      bytes: lengthOf(key, tags) + (bytes ?? (held.kind === "value" ? bytesOf(held.value) : 0)),
      storedAt: now - ageMs,
      freshUntil: now + freshMs,
      usableUntil: now + usableMs,
    });
    this.local.store(key, entry);
  }

  #held(known: Known): Known {
    if (known.kind !== "value" || this.#settings.copy === "none") return known;
    if (this.#settings.copy === "clone") return { kind: "value", value: structuredClone(known.value) };
    deepFreeze(known.value);
    return known;
  }

  /** What was under a key before `clock` is void. */
  voidKey(key: string, clock: number): void {
    this.local.remove(key, clock);
    this.flights.void(key, clock);
  }

  /** The fresh time of what was under a key before `clock` is over; it may be given for its stale time from now on. */
  expireKey(key: string, clock: number): void {
    this.local.expire(key, clock);
    this.flights.void(key, clock);
  }

  /** Forgets all that this process holds, and lets nothing be kept that is under way. */
  drop(reason: string): void {
    this.local.clear();
    this.flights.voidAll();
    this.counts.dropped(reason);
  }
}

function lengthOf(key: string, tags: readonly string[]): number {
  let length = key.length;
  for (const tag of tags) length += tag.length;
  return length;
}
