import { tightest, type Outcome, type Reading, type Receipt } from "../policy/decision.ts";
import type { ExactPolicy } from "../policy/policy.ts";
import { counterOf, type Counter, type Unmerged } from "./counter.ts";

/** The counters of one key, one for each rate. */
interface Entry {
  readonly counters: readonly Counter[];
  lastAt: number;
  /** When it was put behind all others. */
  movedAt: number;
}

interface Slowest {
  readonly index: number;
  readonly waitMs: number;
}

/** Keys whose time is over that are forgotten when a new one comes. */
const FORGOTTEN_AT_ONCE = 4;

/** A key is put behind the others once in this part of its time: moving it costs more than counting it. */
const MOVES = 16;

/** What one key has used that has to be added elsewhere. */
export interface KeyUse {
  readonly key: string;
  /** One for each rate of the policy. */
  readonly uses: readonly Unmerged[];
}

/**
 * Counts the keys of one policy in this process. When it is full, unknown keys are refused: were they to push out others,
 * a caller who wants to be forgotten would only have to come under many names.
 */
export class LocalTable {
  readonly #policy: ExactPolicy;
  readonly #maxKeys: number;
  /** After this time without a call, nothing of a key is in use, in ms. */
  readonly #horizonMs: number;
  /** The key whose last call is the longest ago stands first, but for a sixteenth of its time. */
  readonly #entries = new Map<string, Entry>();

  constructor(policy: ExactPolicy, maxKeys: number) {
    this.#policy = policy;
    this.#maxKeys = maxKeys;
    this.#horizonMs = Math.max(...policy.rates.map((rate) => (rate.burst / rate.limit) * rate.windowMs));
  }

  /** Keys that are counted now. */
  get size(): number {
    return this.#entries.size;
  }

  /** Decides about one call, and notes it. */
  take(key: string, cost: number, now: number): Outcome {
    const entry = this.#find(key, now);
    if (entry === undefined) return this.#full();
    const slowest = this.#slowest(entry, cost, now);
    const refused = slowest.waitMs > 0;
    if (refused && !this.#policy.chargeRefused) return this.#outcome(entry, slowest, now, undefined);
    for (const counter of entry.counters) counter.charge(now, cost);
    this.#touch(key, entry, now);
    return this.#outcome(entry, slowest, now, { key, cost, source: "local", at: [now] });
  }

  /** How a key stands, without noting anything. */
  peek(key: string, cost: number, now: number): Outcome {
    const entry = this.#entries.get(key) ?? this.#fresh(now);
    return this.#outcome(entry, this.#slowest(entry, cost, now), now, undefined);
  }

  /** The rate with the longest wait; the first one where there is none to wait for. */
  #slowest({ counters }: Entry, cost: number, now: number): Slowest {
    let [index, waitMs] = [0, 0];
    for (let i = 0; i < counters.length; i++) {
      const wait = counters[i]?.waitMs(now, cost) ?? 0;
      if (wait > waitMs) [index, waitMs] = [i, wait];
    }
    return { index, waitMs };
  }

  #outcome(entry: Entry, { index, waitMs }: Slowest, now: number, receipt: Receipt | undefined): Outcome {
    const { counters } = entry;
    const { rates } = this.#policy;
    let tight = index;
    if (waitMs === 0)
      for (let i = 1; i < counters.length; i++)
        if (this.#left(entry, i, now) < this.#left(entry, tight, now)) tight = i;
    const [counter, rate] = [counters[tight], rates[tight]];
    if (counter === undefined || rate === undefined) throw new TypeError("a policy has rates"); // its options say so
    const reading = { used: counter.used(now), waitMs, resetMs: counter.resetMs(now), at: now };
    return { rate, reading, source: "local", refused: waitMs > 0, receipt };
  }

  #left({ counters }: Entry, index: number, now: number): number {
    return (this.#policy.rates[index]?.burst ?? 0) - (counters[index]?.used(now) ?? 0);
  }

  refund(key: string, at: number, cost: number): void {
    for (const counter of this.#entries.get(key)?.counters ?? []) counter.refund(at, cost);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** What was noted here and nowhere else. */
  unmerged(now: number): readonly KeyUse[] {
    const found: KeyUse[] = [];
    for (const [key, { counters }] of this.#entries) {
      const uses = counters.map((counter) => counter.unmerged(now));
      if (uses.some(({ ages, units }) => ages.length > 0 || units > 0)) found.push({ key, uses });
    }
    return found;
  }

  /** Says that what `unmerged` gave of a key has been added elsewhere. */
  merged({ key, uses }: KeyUse): void {
    for (const [i, counter] of (this.#entries.get(key)?.counters ?? []).entries()) {
      const use = uses[i];
      if (use !== undefined) counter.merged(use);
    }
  }

  #find(key: string, now: number): Entry | undefined {
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    this.#forget(now);
    return this.#entries.size >= this.#maxKeys ? undefined : this.#fresh(now);
  }

  #fresh(now: number): Entry {
    return { counters: this.#policy.rates.map(counterOf), lastAt: now, movedAt: Number.NEGATIVE_INFINITY };
  }

  #touch(key: string, entry: Entry, now: number): void {
    entry.lastAt = now;
    if (now - entry.movedAt < this.#horizonMs / MOVES) return;
    entry.movedAt = now;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /** A few at a time, so that no call waits for all of them; more than one, so that they do not become more. */
  #forget(now: number): void {
    let left = this.#entries.size >= this.#maxKeys ? this.#maxKeys : FORGOTTEN_AT_ONCE;
    for (const [key, { lastAt }] of this.#entries) {
      if (now - lastAt < this.#horizonMs || left-- <= 0) return;
      this.#entries.delete(key);
    }
  }

  #full(): Outcome {
    const readings = this.#policy.rates.map(({ burst, windowMs }): Reading => ({
      used: burst,
      waitMs: windowMs,
      resetMs: windowMs,
      at: 0,
    }));
    return { ...tightest(this.#policy, readings), source: "local", refused: true, receipt: undefined };
  }
}
