/** Four buckets for each power of two of microseconds, up to 2^27 us (134 s). */
const BUCKETS = 4 * 28;
const SLOT_MS = 10_000;
/** 5 minutes of slots. */
const SLOTS = 30;
/** Slots that stand for "now": 10 to 20 s. */
const RECENT = 2;

/** How long calls took. */
export interface Quantiles {
  /** Durations in ms that half, 95 % and 99 % of the calls stayed below; at most 25 % too high. `undefined` without calls. */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
}

/** How long calls took and how many there were. */
export interface LatencyView extends Quantiles {
  readonly count: number;
  readonly failed: number;
  /** Calls by upper bound of their bucket in ms, empty buckets left out. */
  readonly buckets: readonly (readonly [number, number])[];
}

/** What was recorded of 10 s. */
interface Slot {
  at: number;
  failed: number;
  count: number;
  readonly buckets: Uint32Array;
}

/** Durations of the calls of one resource, over 5 minutes. Recording allocates nothing but a slot every 10 s. */
export class Latencies {
  readonly #slots: (Slot | undefined)[] = Array.from({ length: SLOTS });
  #total = 0;
  #failed = 0;

  /** Calls since recording began. */
  get total(): number {
    return this.#total;
  }

  /** Failed calls since recording began. */
  get failed(): number {
    return this.#failed;
  }

  /** Notes a call that ended at `now`, both in ms. */
  record(durationMs: number, now: number, failed: boolean): void {
    const slot = this.#slotAt(now);
    const bucket = bucketOf(durationMs);
    slot.buckets[bucket] = (slot.buckets[bucket] ?? 0) + 1;
    slot.count++;
    this.#total++;
    if (!failed) return;
    slot.failed++;
    this.#failed++;
  }

  /** The last 10 to 20 s. Read once a second for each resource, so it makes nothing but its answer. */
  recent(now: number): Quantiles {
    const at = Math.floor(now / SLOT_MS);
    scratch.fill(0);
    let count = 0;
    for (let back = 0; back < RECENT; back++) {
      const slot = this.#slots[(at - back) % SLOTS];
      if (slot?.at !== at - back) continue;
      count += slot.count;
      addTo(scratch, slot.buckets);
    }
    return quantiles(scratch, count);
  }

  /** The last 5 minutes. */
  whole(now: number): LatencyView {
    const { sum, count, failed } = this.#sumOf(now, SLOTS);
    const buckets = [...sum].flatMap((n, i) => (n === 0 ? [] : [[upperBoundOf(i), n] as const]));
    return { count, failed, ...quantiles(sum, count), buckets };
  }

  #slotAt(now: number): Slot {
    const at = Math.floor(now / SLOT_MS);
    const index = at % SLOTS;
    const slot = (this.#slots[index] ??= { at, failed: 0, count: 0, buckets: new Uint32Array(BUCKETS) });
    if (slot.at === at) return slot;
    slot.at = at;
    slot.failed = 0;
    slot.count = 0;
    slot.buckets.fill(0);
    return slot;
  }

  #sumOf(now: number, slots: number): { readonly sum: Uint32Array; readonly count: number; readonly failed: number } {
    const since = Math.floor(now / SLOT_MS) - slots;
    const sum = new Uint32Array(BUCKETS);
    let count = 0;
    let failed = 0;
    for (const slot of this.#slots) {
      if (slot === undefined || slot.at <= since) continue;
      count += slot.count;
      failed += slot.failed;
      addTo(sum, slot.buckets);
    }
    return { sum, count, failed };
  }
}

/** Sums for one answer at a time. */
const scratch = new Uint32Array(BUCKETS);

function addTo(sum: Uint32Array, buckets: Uint32Array): void {
  for (let i = 0; i < BUCKETS; i++) sum[i] = (sum[i] ?? 0) + (buckets[i] ?? 0);
}

function quantiles(sum: Uint32Array, count: number): Quantiles {
  const at = (share: number): number | undefined => quantile(sum, count, share);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

function quantile(buckets: Uint32Array, count: number, share: number): number | undefined {
  if (count === 0) return undefined;
  let rest = Math.ceil(count * share);
  for (let i = 0; i < BUCKETS; i++) {
    rest -= buckets[i] ?? 0;
    if (rest <= 0) return upperBoundOf(i);
  }
  return upperBoundOf(BUCKETS - 1);
}

/** The two bits below the highest one give the quarter within a power of two. */
function bucketOf(durationMs: number): number {
  const us = Math.max(1, Math.min(2 ** 28 - 1, Math.ceil(durationMs * 1_000)));
  const power = 31 - Math.clz32(us);
  const quarter = power < 2 ? (us << (2 - power)) & 3 : (us >> (power - 2)) & 3;
  return power * 4 + quarter;
}

/** Of each bucket, in ms. */
const UPPER_BOUNDS = Array.from({ length: BUCKETS }, (_, bucket) => {
  const us = 2 ** Math.floor(bucket / 4) * (1 + ((bucket % 4) + 1) / 4);
  return Number((us / 1_000).toPrecision(4));
});

function upperBoundOf(bucket: number): number {
  return UPPER_BOUNDS[bucket] ?? Number.POSITIVE_INFINITY;
}
