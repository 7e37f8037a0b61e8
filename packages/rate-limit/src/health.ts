import type { PassiveEvidence } from "@steward/core/driver";
import { describeError } from "@steward/core/driver";
import type { LinkState } from "./shared/link.ts";

/** Numbers of a rate limiter. */
export interface RateLimiterStats {
  /** Keys that this instance counts. */
  readonly tracked: number;
  /** Keys whose refusal this instance remembers. */
  readonly blocked: number;
  /** Why it decides alone, and since when, in ms of the clock; `undefined` while Redis counts, or where there is none. */
  readonly fallback: { readonly since: number; readonly reason: string } | undefined;
  /** How many instances there are, as far as it knows. */
  readonly instances: number;
}

/** Why it decides alone, in a sentence. */
export function fallbackOf(state: LinkState | undefined): RateLimiterStats["fallback"] {
  if (state === undefined || state.kind === "up") return undefined;
  return {
    since: state.since,
    reason: `Redis cannot be asked, so each instance decides alone: ${describeError(state.cause)}`,
  };
}

/** It goes on without Redis, so that is a degraded state and no failure. */
export function evidenceOf(fallback: RateLimiterStats["fallback"], lastSuccessAt: number): PassiveEvidence {
  return {
    lastSuccessAt,
    failingRatio: 0,
    degradedRatio: fallback === undefined ? 0 : 1,
    reason: fallback?.reason ?? "",
    isSuspect: false,
  };
}
