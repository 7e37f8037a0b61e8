import { parseRate, type Rate } from "./rate.ts";

/** What a policy does when Redis does not answer. */
export type OnUnavailable = "local" | "deny" | "allow";

/** What a policy may say besides its rates. */
export interface PolicyOptions {
  /** All of them hold: a call is charged to each, or to none. */
  readonly rates: string | Rate | readonly (string | Rate)[];
  /** Refused calls are charged too, so who goes on trying is not let in. Default `false`: a refused call costs nothing. */
  readonly chargeRefused?: boolean | undefined;
  /** Counts, and lets everything through. Default `false`. */
  readonly shadow?: boolean | undefined;
  /** Default: what the rate limiter says. */
  readonly onUnavailable?: OnUnavailable | undefined;
}

/** A policy: one rate, as text or object, several that all hold, or rates with more options. */
export type Policy = string | Rate | readonly (string | Rate)[] | PolicyOptions;

/** A rate with all its numbers. */
export interface ExactRate {
  readonly kind: "log" | "gcra";
  readonly limit: number;
  readonly windowMs: number;
  /** Units that can be taken at once. */
  readonly burst: number;
}

/** A policy with all its numbers. */
export interface ExactPolicy {
  readonly name: string;
  readonly rates: readonly ExactRate[];
  /** The most that one call can ever take. */
  readonly maxCost: number;
  readonly chargeRefused: boolean;
  readonly shadow: boolean;
  readonly onUnavailable: OnUnavailable;
}

/** The largest limit whose calls are remembered one by one. */
export const MAX_LOG_LIMIT = 1_000;

/** A policy whose parts were checked, with its defaults. */
export function exactPolicy(name: string, policy: Policy, onUnavailable: OnUnavailable): ExactPolicy {
  const given: PolicyOptions = isOptions(policy) ? policy : { rates: policy };
  const rates = ratesOf(given.rates).map(exactRate);
  return {
    name,
    rates,
    maxCost: Math.min(...rates.map((rate) => rate.burst)),
    chargeRefused: given.chargeRefused ?? false,
    shadow: given.shadow ?? false,
    onUnavailable: given.onUnavailable ?? onUnavailable,
  };
}

/** The part of a policy that one of several instances may use without asking the others: rounded up, at least 1. */
export function shareOf(policy: ExactPolicy, instances: number): ExactPolicy {
  if (instances <= 1) return policy;
  const share = (count: number): number => Math.max(1, Math.ceil(count / instances));
  const rates = policy.rates.map((rate) => ({ ...rate, limit: share(rate.limit), burst: share(rate.burst) }));
  return { ...policy, rates, maxCost: Math.min(...rates.map((rate) => rate.burst)) };
}

/** Whether a policy is written with options. */
export function isOptions(policy: Policy): policy is PolicyOptions {
  return typeof policy === "object" && "rates" in policy;
}

/** The rates of a policy, as objects. */
export function ratesOf(rates: PolicyOptions["rates"]): readonly Rate[] {
  const list: readonly (string | Rate)[] = typeof rates === "string" || "limit" in rates ? [rates] : rates;
  return list.flatMap((rate) => (typeof rate === "string" ? (parseRate(rate) ?? []) : [rate]));
}

function exactRate({ limit, windowMs, burst, smooth }: Rate): ExactRate {
  const isSmooth = smooth ?? (burst !== undefined || limit > MAX_LOG_LIMIT);
  return { kind: isSmooth ? "gcra" : "log", limit, windowMs, burst: isSmooth ? (burst ?? limit) : limit };
}
