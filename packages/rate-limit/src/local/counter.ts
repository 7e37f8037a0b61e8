import type { ExactRate } from "../policy/policy.ts";

/** What has to be added elsewhere: for a log the ages of calls in ms, for a smooth rate how many units are in use. */
export interface Unmerged {
  readonly ages: readonly number[];
  readonly units: number;
}

/** Counts the calls of one key under one rate, in this process. Times are in ms of the clock. */
export interface Counter {
  /** In how many ms a call of that cost would be within the rate; 0 when it is. */
  waitMs(now: number, cost: number): number;
  /** Units in use. */
  used(now: number): number;
  /** In how many ms nothing is in use any more, if nothing is taken meanwhile. */
  resetMs(now: number): number;
  /** Notes a call; refused ones may be noted too, and then only the newest count. */
  charge(now: number, cost: number): void;
  /** Takes back what was noted at that instant. */
  refund(at: number, cost: number): void;
  /** What was noted since `merged` was called last. */
  unmerged(now: number): Unmerged;
  /** Says that what `unmerged` gave has been added elsewhere. */
  merged(of: Unmerged): void;
}

/** A counter of a rate that has seen nothing. */
export function counterOf(rate: ExactRate): Counter {
  return rate.kind === "log" ? new LogCounter(rate) : new SmoothCounter(rate);
}

/** Keeps the instant of every unit, the oldest first, so that no window ever holds more than the limit. */
class LogCounter implements Counter {
  readonly #limit: number;
  readonly #windowMs: number;
  #times: number[] = [];
  /** How many of the newest were not merged yet. */
  #fresh = 0;

  constructor({ limit, windowMs }: ExactRate) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  waitMs(now: number, cost: number): number {
    this.#forget(now);
    const used = this.#times.length;
    const over = used + cost - this.#limit;
    if (over <= 0) return 0;
    return over > used ? this.#windowMs : (this.#times[over - 1] ?? now) + this.#windowMs - now;
  }

  used(now: number): number {
    this.#forget(now);
    return this.#times.length;
  }

  resetMs(now: number): number {
    const newest = this.#times.at(-1);
    return newest === undefined ? 0 : Math.max(0, newest + this.#windowMs - now);
  }

  charge(now: number, cost: number): void {
    for (let i = 0; i < cost; i++) this.#times.push(now);
    this.#fresh += cost;
    const over = this.#times.length - this.#limit;
    if (over > 0) this.#times = this.#times.slice(over);
    this.#fresh = Math.min(this.#fresh, this.#times.length);
  }

  refund(at: number, cost: number): void {
    for (let i = this.#times.length - 1, left = cost; i >= 0 && left > 0; i--)
      if (this.#times[i] === at) {
        if (i >= this.#times.length - this.#fresh) this.#fresh--;
        this.#times.splice(i, 1);
        left--;
      }
  }

  unmerged(now: number): Unmerged {
    this.#forget(now);
    const ages = this.#fresh === 0 ? [] : this.#times.slice(-this.#fresh).map((time) => now - time);
    return { ages, units: 0 };
  }

  merged({ ages }: Unmerged): void {
    this.#fresh = Math.max(0, this.#fresh - ages.length);
  }

  #forget(now: number): void {
    let over = 0;
    while (over < this.#times.length && now - (this.#times[over] ?? now) >= this.#windowMs) over++;
    if (over > 0) this.#times.splice(0, over);
    this.#fresh = Math.min(this.#fresh, this.#times.length);
  }
}

/**
 * Generic cell rate algorithm (ITU-T I.371): keeps only the instant at which all that was taken will have come back. Units
 * come back one by one.
 */
class SmoothCounter implements Counter {
  readonly #stepMs: number;
  readonly #burst: number;
  #backAt = Number.NEGATIVE_INFINITY;
  #fresh = 0;

  constructor({ limit, windowMs, burst }: ExactRate) {
    this.#stepMs = windowMs / limit;
    this.#burst = burst;
  }

  waitMs(now: number, cost: number): number {
    const waitMs = this.resetMs(now) + (cost - this.#burst) * this.#stepMs;
    return waitMs > ROUNDING_MS ? waitMs : 0;
  }

  used(now: number): number {
    return this.resetMs(now) / this.#stepMs;
  }

  resetMs(now: number): number {
    return Math.max(0, this.#backAt - now);
  }

  charge(now: number, cost: number): void {
    this.#backAt = Math.min(Math.max(this.#backAt, now) + cost * this.#stepMs, now + this.#burst * this.#stepMs);
    this.#fresh += cost;
  }

  refund(_at: number, cost: number): void {
    this.#backAt -= cost * this.#stepMs;
    this.#fresh = Math.max(0, this.#fresh - cost);
  }

  unmerged(now: number): Unmerged {
    return { ages: [], units: Math.min(this.#fresh, this.used(now)) };
  }

  merged({ units }: Unmerged): void {
    this.#fresh = units === 0 ? this.#fresh : Math.max(0, this.#fresh - Math.ceil(units));
  }
}

/** Sums of steps may be this much off. */
const ROUNDING_MS = 1e-6;
