import type { RateDecision } from "@steward/core";
import type { ExactPolicy, ExactRate } from "./policy.ts";

/** Where a decision comes from: all instances together, this one alone, its memory of a refusal, or nowhere. */
export type DecisionSource = "redis" | "local" | "blocked" | "none";

/** How one rate of a policy stands for a key. */
export interface Reading {
  /** Units in use, after what was charged. */
  readonly used: number;
  /** In how many ms the call would be within this rate; 0 when it is. */
  readonly waitMs: number;
  /** In how many ms nothing is in use any more, if nothing is taken meanwhile. */
  readonly resetMs: number;
  /** The instant that the units were noted under, as the store measures it. */
  readonly at: number;
}

/** What was charged, so that it can be given back. */
export interface Receipt {
  readonly key: string;
  readonly cost: number;
  readonly source: "redis" | "local";
  /** The instants that it was noted under: in Redis one for each rate of the policy. */
  readonly at: readonly number[];
}

/** What a rate limiter decided. `limit`, `windowMs`, `remaining` and `resetMs` are those of the rate nearest to its end. */
export class Decision implements RateDecision {
  /** Name of the policy. */
  readonly policy: string;
  readonly allowed: boolean;
  readonly retryAfterMs: number;
  readonly limit: number;
  readonly windowMs: number;
  readonly remaining: number;
  readonly resetMs: number;
  readonly source: DecisionSource;
  /** True when it was let through only because the policy is in shadow mode. */
  readonly shadowed: boolean;
  readonly #receipt: Receipt | undefined;

  /** @internal */
  constructor(policy: ExactPolicy, outcome: Outcome) {
    const { rate, reading, source, refused } = outcome;
    this.policy = policy.name;
    this.source = source;
    this.shadowed = refused && policy.shadow;
    this.allowed = !refused || policy.shadow;
    this.retryAfterMs = this.allowed ? 0 : Math.max(1, Math.ceil(reading.waitMs));
    this.limit = rate.limit;
    this.windowMs = rate.windowMs;
    this.remaining = remainingOf(rate, reading);
    this.resetMs = Math.ceil(reading.resetMs);
    this.#receipt = outcome.receipt;
  }

  /** @internal What was charged for a decision; `undefined` where nothing was. */
  static receiptOf(decision: Decision): Receipt | undefined {
    return decision.#receipt;
  }

  /** @internal */
  static is(value: unknown): value is Decision {
    return typeof value === "object" && value !== null && #receipt in value;
  }
}

/** What a decision is made of. */
export interface Outcome {
  readonly rate: ExactRate;
  readonly reading: Reading;
  readonly source: DecisionSource;
  readonly refused: boolean;
  readonly receipt: Receipt | undefined;
}

/** The rate that decides: the one with the longest wait, else the one with the least left. */
export function tightest(
  policy: ExactPolicy,
  readings: readonly Reading[],
): { readonly rate: ExactRate; readonly reading: Reading } {
  let found: { rate: ExactRate; reading: Reading } | undefined;
  for (const [i, reading] of readings.entries()) {
    const rate = policy.rates[i];
    if (rate !== undefined && (found === undefined || isTighter(rate, reading, found))) found = { rate, reading };
  }
  if (found === undefined) throw new TypeError(`policy ${policy.name} has no rates`); // its options say that it has
  return found;
}

function isTighter(rate: ExactRate, reading: Reading, than: { rate: ExactRate; reading: Reading }): boolean {
  if (reading.waitMs !== than.reading.waitMs) return reading.waitMs > than.reading.waitMs;
  return remainingOf(rate, reading) < remainingOf(than.rate, than.reading);
}

function remainingOf(rate: ExactRate, reading: Reading): number {
  return Math.max(0, Math.floor(rate.burst - reading.used + ROUNDING));
}

/** Units of a smooth rate are computed from times, and may be this much off. */
const ROUNDING = 1e-3;
