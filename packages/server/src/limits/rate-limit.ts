import { resource, type Definition, type RateDecision } from "@steward/core";
import { isDefinition, type AnyDefinition } from "@steward/core/container";
import { assertShape, flag, func, recognised, required, rule, shape, type Shape } from "@steward/core/driver";
import { HttpError } from "../errors.ts";
import { responseHeaders, type ResponseHeaders } from "../route/request-inputs.ts";
import { withAddress, withRefusal } from "../route/source.ts";
import type { LimitKey } from "./by.ts";

/** What gives decisions: the port `RateLimiter`, whose names of policies may be typed, as those of `@steward/rate-limit`. */
export interface LimiterLike {
  take(
    policy: never,
    key: string | readonly string[],
    options?: { readonly cost?: number | undefined },
  ): Promise<RateDecision>;
}

/** How a route is limited. */
export interface RateLimitOptions<O extends string = string> {
  /** Whose budget a request is charged to. */
  readonly by: LimitKey<O>;
  /** What a request costs: a whole number from 1 on, or a function of the values of `by`'s needs. Default 1. */
  readonly cost?: number | ((values: never) => number) | undefined;
  /** Also `x-ratelimit-limit`, `-remaining` and `-reset`, for clients that know no others. Default `false`. */
  readonly legacyHeaders?: boolean | undefined;
}

const keyShape = shape<Omit<LimitKey, "open">>(() => ({
  needs: required(recognised((value) => typeof value === "object" && value !== null, "an object of needs")),
  key: required(func()),
  takesAddress: flag(),
}));

const limitShape: Shape<RateLimitOptions> = shape<RateLimitOptions>(() => ({
  by: required(keyShape),
  cost: rule("a whole number from 1 on, or a function", (value) =>
    typeof value === "function" || (Number.isInteger(value) && Number(value) >= 1)
      ? undefined
      : "must be a whole number from 1 on, or a function",
  ),
  legacyHeaders: flag(),
}));

/** It stands in the header `RateLimit` as it is, without an escape. */
const policyName = recognised(
  (value) => typeof value === "string" && /^[\w.:-]{1,64}$/.test(value),
  "the name of a policy: 1 to 64 of A-Z a-z 0-9 _ - . :",
);

const argumentsShape = shape<{ readonly limiter: unknown; readonly policy: string }>(() => ({
  limiter: required(recognised(isDefinition, "a definition, such as rateLimiter(...)")),
  policy: required(policyName),
}));

/**
 * A need that bounds how often a route is called: it charges a budget before the handler, and answers 429 with
 * `retry-after` when that is used up. Every answer says what is left, in the fields `RateLimit-Policy` and `RateLimit`
 * (draft-ietf-httpapi-ratelimit-headers-10). Put it before what is costly, and behind `security` where it counts by user.
 *
 * @param limiter The rate limiter, of `@steward/rate-limit` or your own behind the port `RateLimiter`.
 * @param policy The name of one of its policies.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { by, rateLimit } from "@steward/server";
 * import { resource, type RateLimiter } from "@steward/core";
 * const limiter = resource("limiter", { start: (): RateLimiter => ({ take: async () => ({ allowed: true, retryAfterMs: 0, limit: 5, windowMs: 60_000, remaining: 4, resetMs: 60_000 }) }) });
 * const limited = rateLimit(limiter, "login", { by: by.address });
 * console.log(limited.lifetime); // => request
 * ```
 */
export function rateLimit<L extends LimiterLike, O extends string, Of extends string>(
  limiter: Definition<L, "application" | "process", Of>,
  policy: Parameters<L["take"]>[0] & string,
  options: RateLimitOptions<O>,
): Definition<RateDecision, "request", O | Of | "request:responseHeaders"> {
  assertShape("rateLimit", argumentsShape, { limiter, policy });
  assertShape("rateLimit", limitShape, options);
  const { by, cost = 1, legacyHeaders = false } = options;
  const definition = resource(`rate limit ${policy}`, {
    lifetime: "request",
    needs: { limiter, responseHeaders, ...(by.needs as {}) },
    start: async (values) => {
      const given = values as never; // those of `by` are among them
      const units = typeof cost === "function" ? cost(given) : cost;
      const decision = await values.limiter.take(policy as never, by.key(given), { cost: units });
      setHeaders(values.responseHeaders, policy, decision, legacyHeaders);
      if (!decision.allowed) throw tooMany(decision);
      return decision;
    },
  });
  const noted = withRefusal(definition as AnyDefinition, { status: 429, description: "Too many requests" });
  if (by.takesAddress === true) withAddress(noted);
  return noted as Definition<RateDecision, "request", O | Of | "request:responseHeaders">; // `by` and the limiter say what they take
}

function tooMany({ retryAfterMs }: RateDecision): HttpError {
  return new HttpError(429, "too many requests; please try again later", {
    code: "RATE_LIMITED",
    headers: { "retry-after": `${secondsOf(retryAfterMs)}` },
  });
}

function setHeaders(
  headers: ResponseHeaders,
  policy: string,
  { limit, windowMs, remaining, resetMs }: RateDecision,
  legacy: boolean,
): void {
  headers.set("ratelimit-policy", `"${policy}";q=${limit};w=${secondsOf(windowMs)}`);
  headers.set("ratelimit", `"${policy}";r=${remaining};t=${secondsOf(resetMs)}`);
  if (!legacy) return;
  headers.set("x-ratelimit-limit", `${limit}`);
  headers.set("x-ratelimit-remaining", `${remaining}`);
  headers.set("x-ratelimit-reset", `${secondsOf(resetMs)}`);
}

function secondsOf(ms: number): number {
  return Math.ceil(ms / 1_000);
}
