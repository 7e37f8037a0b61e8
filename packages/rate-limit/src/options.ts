import type { RedisRunner } from "@steward/core";
import {
  flag,
  givenSchema,
  hasMethods,
  listOf,
  MAX_TIMER_MS,
  milliseconds,
  oneOf,
  recordOf,
  required,
  rule,
  ruleSchema,
  shape,
  wholeNumber,
  countSchema,
  msSchema,
  textSchema,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import * as v from "valibot";
import { isOptions, MAX_LOG_LIMIT, type OnUnavailable, type Policy, type PolicyOptions } from "./policy/policy.ts";
import { parseRate, RATE_TEXT, type Rate } from "./policy/rate.ts";

/** Policies by their names. */
export type Policies = Readonly<Record<string, Policy>>;

/** Options of a {@link RateLimiterManager}. */
export interface RateLimiterOptions<P extends Policies = Policies> {
  /** What is limited, by name. A name has letters, digits, `_`, `-`, `.` and `:`. */
  readonly policies: P;
  /** Where all instances count together, as `redisRunner(client)` gives it. Default: each instance counts for itself. */
  readonly redis?: RedisRunner | undefined;
  /** Begins the name of every key in Redis. Default `rate:`. */
  readonly prefix?: string | undefined;
  /** Longest wait for Redis, in ms; after it the call is decided as `onUnavailable` says. Default 50. */
  readonly timeoutMs?: number | undefined;
  /**
   * What happens while Redis does not answer. `local` (default): each instance counts for itself, with its share of each
   * rate. `deny`: calls are refused with `RATE_LIMITER_UNAVAILABLE`. `allow`: everything is let through, uncounted.
   */
  readonly onUnavailable?: OnUnavailable | undefined;
  /**
   * How many instances there are, so that each knows its share without Redis; `heartbeat` counts those that Redis has seen
   * in the last 15 s. Default 1.
   */
  readonly instances?: number | "heartbeat" | undefined;
  /** Keys that one instance counts by itself, per rate; when all are in use, new ones are refused. Default 100,000. */
  readonly maxKeys?: number | undefined;
  /**
   * Whose clock windows are measured by. `server` (default): that of Redis, so clocks of instances do not matter. `client`:
   * for a Redis that refuses TIME in scripts; the clocks of instances have to agree then.
   */
  readonly clock?: "server" | "client" | undefined;
}

/** Longest window, in ms: 366 days. */
const MAX_WINDOW_MS = 366 * 86_400_000;

const rateShape: Shape<Rate> = /* @__PURE__ */ shape<Rate>(
  () => ({
    limit: required(wholeNumber(1, 1_000_000_000)),
    windowMs: required(milliseconds(1, MAX_WINDOW_MS)),
    burst: wholeNumber(1, 1_000_000_000),
    smooth: flag(),
  }),
  ({ burst, smooth }) =>
    burst !== undefined && smooth === false
      ? { path: "burst", message: "is for smooth rates: leave it out, or set smooth to true" }
      : undefined,
  ({ limit, smooth }) =>
    smooth === false && limit > MAX_LOG_LIMIT
      ? { path: "smooth", message: `must not be false with a limit above ${MAX_LOG_LIMIT}: each call would be kept` }
      : undefined,
);

function rateRule(): Rule {
  return rule(`${RATE_TEXT}, or { limit, windowMs }`, (value) => {
    if (typeof value !== "string") return rateShape(value);
    const rate = parseRate(value);
    return rate === undefined ? `must be ${RATE_TEXT}` : rateShape(rate);
  });
}

function ratesRule(): Rule {
  const one = rateRule();
  const list = listOf(one);
  return rule(`${one.expects}, or a list of them`, (value) => {
    if (!Array.isArray(value)) return one(value);
    return value.length === 0 ? "must not be empty" : list(value);
  });
}

const policyOptionsShape: Shape<PolicyOptions> = /* @__PURE__ */ shape<PolicyOptions>(() => ({
  rates: required(ratesRule()),
  chargeRefused: flag(),
  shadow: flag(),
  onUnavailable: oneOf("local", "deny", "allow"),
}));

function policyRule(): Rule {
  const rates = ratesRule();
  const isObject = (value: unknown): value is Policy => typeof value === "object" && value !== null;
  return rule(rates.expects, (value) =>
    isObject(value) && isOptions(value) ? policyOptionsShape(value) : rates(value),
  );
}

const NAME = /^[A-Za-z0-9_.:-]{1,64}$/;

function policiesRule(): Rule {
  const all = recordOf(policyRule());
  return rule("an object of policies by name", (value) => {
    const found = all(value);
    if (found !== undefined) return found;
    const names = Object.keys(value as object); // `all` has let it through
    if (names.length === 0) return "must name at least one policy";
    const wrong = names.filter((name) => !NAME.test(name));
    return wrong.map((name) => ({ path: name, message: "is no name of a policy: 1 to 64 of A-Z a-z 0-9 _ - . :" }));
  });
}

/** What one call may ask for. */
export interface TakeOptions {
  /** Units that it takes. A whole number from 1 on; at most what the policy allows at once. Default 1. */
  readonly cost?: number | undefined;
}

const entries = {
  policies: ruleSchema<Policies>(policiesRule()),
  redis: v.optional(
    v.pipe(
      givenSchema<RedisRunner>(
        (value) => hasMethods(value, "command", "batch", "script"),
        "what redisRunner(client) of @steward/redis gives, not the client itself",
      ),
      v.transform((redis) => () => redis),
    ),
  ),
  prefix: v.optional(textSchema()),
  timeoutMs: v.optional(msSchema(1, MAX_TIMER_MS)),
  onUnavailable: v.optional(v.picklist(["local", "deny", "allow"])),
  instances: v.optional(v.union([v.literal("heartbeat"), countSchema(1)])),
  maxKeys: v.optional(countSchema(1)),
  clock: v.optional(v.picklist(["server", "client"])),
};

/** What the options of a manager must be. */
export const rateLimiterSchema: v.GenericSchema<unknown, CheckedOptions> = v.pipe(
  v.strictObject(entries),
  v.forward(
    v.check(
      ({ instances, redis }) => instances !== "heartbeat" || redis !== undefined,
      "must be a number without redis, which alone can count the instances",
    ),
    ["instances"],
  ),
);

/** Options that were checked. They are frozen, and a runner is not ours to freeze, so it is behind a function. */
export interface CheckedOptions extends Omit<RateLimiterOptions, "redis"> {
  readonly redis?: (() => RedisRunner) | undefined;
}
