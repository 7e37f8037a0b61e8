import { LRUCache } from "lru-cache";
import type { CoarseClock } from "./coarse-clock.ts";
import type { Entry } from "./entry.ts";

/** Bounds of what a process holds. */
export interface LocalBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** What this process holds itself, least recently used first out. */
export class Local {
  readonly #entries: LRUCache<string, Entry>;
  readonly #time: CoarseClock;
  /** Entries that had to make room. */
  evictions = 0;
  /** Values that are larger than all that may be held. */
  oversized = 0;

  constructor(bounds: LocalBounds, time: CoarseClock) {
    this.#time = time;
    this.#entries = new LRUCache<string, Entry>({
      max: bounds.maxEntries,
      maxSize: bounds.maxBytes,
      sizeCalculation: (entry) => Math.max(1, entry.bytes),
      dispose: (_entry, _key, reason) => void (reason === "evict" && this.evictions++),
      noDisposeOnSet: true,
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of all entries, as they were counted. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** What may be used still, fresh or not. */
  find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.holds && entry.usableUntil > this.#time.now) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  store(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    if (entry.bytes > this.#entries.maxSize) this.oversized++;
  }

  /** Takes out what was looked up before `clock`. */
  remove(key: string, clock: number): void {
    const entry = this.#entries.peek(key);
    if (entry !== undefined && entry.clock < clock) this.#entries.delete(key);
  }

  /** Ends the fresh time of what was looked up before `clock`. */
  expire(key: string, clock: number): void {
    const entry = this.#entries.peek(key);
    if (entry === undefined || entry.clock >= clock) return;
    const { now } = this.#time;
    const staleMs = entry.usableUntil - entry.freshUntil;
    if (staleMs <= 0) return void this.#entries.delete(key);
    entry.usableUntil = Math.min(entry.usableUntil, now + staleMs);
    entry.freshUntil = Math.min(entry.freshUntil, now);
  }

  clear(): void {
    this.#entries.clear();
  }
}
