import { StewardError } from "@steward/core";

/** Every error code of `@steward/rate-limit`, with what it means. */
export const RATE_LIMIT_CODES = {
  RATE_LIMITED: "More was asked for than the policy allows; `retryAfterMs` says when there is room again.",
  RATE_POLICY_UNKNOWN: "A policy was named that the rate limiter does not have.",
  RATE_KEY_INVALID: "The key of a call is empty, no text, or a list with something else than text in it.",
  RATE_COST_INVALID: "The cost of a call is more than the policy ever allows at once.",
  RATE_LIMITER_UNAVAILABLE:
    "Redis does not answer, and the policy refuses what it cannot count (`onUnavailable: deny`).",
} as const;

/** A code that `@steward/rate-limit` itself raises. */
export type RateLimitCode = keyof typeof RATE_LIMIT_CODES;

/** The error of a call beyond its budget. */
export function rateLimited(resource: string, policy: string, retryAfterMs: number): StewardError {
  const message = `${resource}: the budget of policy "${policy}" is used up for this key; there is room again in ${retryAfterMs} ms`;
  return new StewardError("RATE_LIMITED", message, { resource, retryable: true, retryAfterMs });
}

/** The error of a call under `onUnavailable: "deny"` while Redis does not answer. */
export function limiterUnavailable(
  resource: string,
  policy: string,
  retryAfterMs: number,
  cause: unknown,
): StewardError {
  const message = `${resource}: Redis does not answer, and policy "${policy}" refuses what it cannot count (onUnavailable: "deny")`;
  return new StewardError("RATE_LIMITER_UNAVAILABLE", message, { resource, retryable: true, retryAfterMs, cause });
}
