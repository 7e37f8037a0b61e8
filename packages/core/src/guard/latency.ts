const GENERATION_MS = 30_000;
const FEWEST_SAMPLES = 100;
/** Four buckets for each power of two of microseconds, up to 2^27 us (134 s). */
const BUCKETS = 4 * 28;

/**
 * Latencies of the last 30 to 60 s, in 112 counters. Recording costs a few ns and no allocation; a quantile is read
 * from above its bucket, so it is at most 25 % too high and never too low.
 */
export class LatencyHistory {
  #now = new Uint32Array(BUCKETS);
  #before = new Uint32Array(BUCKETS);
  #count = 0;
  #countBefore = 0;
  #until = 0;

  /** Notes that something took `durationMs` and ended at `now`, both in ms. */
  record(durationMs: number, now: number): void {
    if (now >= this.#until) this.#rotate(now);
    const bucket = bucketOf(durationMs);
    this.#now[bucket] = (this.#now[bucket] ?? 0) + 1;
    this.#count++;
  }

  /** The duration in ms that a share `q` (0 to 1) stayed below, or `undefined` while there are fewer than 100 samples. */
  quantile(q: number): number | undefined {
    const total = this.#count + this.#countBefore;
    if (total < FEWEST_SAMPLES) return undefined;
    let rest = total - Math.min(total - 1, Math.floor(total * q));
    for (let i = BUCKETS - 1; i >= 0; i--) {
      rest -= (this.#now[i] ?? 0) + (this.#before[i] ?? 0);
      if (rest <= 0) return upperBoundOf(i);
    }
    return 0;
  }

  #rotate(now: number): void {
    const stale = now >= this.#until + GENERATION_MS;
    [this.#before, this.#now] = [this.#now, this.#before];
    this.#countBefore = stale ? 0 : this.#count;
    if (stale) this.#before.fill(0);
    this.#now.fill(0);
    this.#count = 0;
    this.#until = now + GENERATION_MS;
  }
}

/** The two bits below the highest one give the quarter within a power of two. */
function bucketOf(durationMs: number): number {
  const us = Math.min(Math.max(durationMs * 1_000, 4), 2 ** 27) | 0;
  const exponent = 31 - Math.clz32(us);
  return Math.min(BUCKETS - 1, exponent * 4 + ((us >> (exponent - 2)) & 3));
}

function upperBoundOf(bucket: number): number {
  const exponent = bucket >> 2;
  return (2 ** exponent * (1 + ((bucket & 3) + 1) / 4)) / 1_000;
}
