import { StewardError, type RateLimiter } from "@steward/core";
import { assertShape, nearest, shape, wholeNumber, type Shape } from "@steward/core/driver";
import { rateLimited } from "../errors.ts";
import { keyText, type RateKey } from "../policy/key.ts";
import { Decision } from "../policy/decision.ts";
import type { TakeOptions } from "../options.ts";
import type { PolicyLimiter } from "./policy-limiter.ts";

/** Bounds how often something is done. Its methods need no `this`. */
export interface Limiter<Name extends string = string> extends RateLimiter {
  /**
   * Charges `cost` (default 1) to the budget of `key` under a policy, unless that would exceed it.
   *
   * @throws {RATE_POLICY_UNKNOWN} when there is no such policy.
   * @throws {RATE_KEY_INVALID} when the key is empty, or not text.
   * @throws {RATE_COST_INVALID} when the cost is more than the policy ever allows at once.
   * @throws {OPTIONS_INVALID} when an option is unknown, or the cost is no whole number from 1 on.
   * @throws {RATE_LIMITER_UNAVAILABLE} when Redis does not answer, under `onUnavailable: "deny"`.
   */
  take(policy: Name, key: RateKey, options?: TakeOptions): Promise<Decision>;
  /**
   * As {@link take}, and rejects instead of giving a refusal.
   * @throws {RATE_LIMITED} with `retryAfterMs`; servers answer 429.
   */
  require(policy: Name, key: RateKey, options?: TakeOptions): Promise<Decision>;
  /** What {@link take} would decide, without charging anything. */
  peek(policy: Name, key: RateKey, options?: TakeOptions): Promise<Decision>;
  /** Gives back what was charged for a decision, such as for work that was not done after all. Once per decision. */
  refund(decision: Decision): Promise<void>;
  /** Forgets what a key has used. Other instances remember a refusal until its time is over. */
  reset(policy: Name, key: RateKey): Promise<void>;
}

const takeShape: Shape<TakeOptions> = /* @__PURE__ */ shape<TakeOptions>(() => ({ cost: wholeNumber(1) }));

/** What a limiter is made of. */
export interface LimiterBasis {
  readonly resource: string;
  readonly policies: ReadonlyMap<string, PolicyLimiter>;
  /** Why calls are refused now. */
  readonly refusal: () => StewardError | undefined;
}

/** A limiter over policies. */
export function limiterOf({ resource, policies, refusal }: LimiterBasis): Limiter {
  const refunded = new WeakSet<Decision>();

  const find = (policy: string): PolicyLimiter => {
    const found = policies.get(policy);
    if (found === undefined) throw unknownPolicy(resource, policy, [...policies.keys()]);
    const refused = refusal();
    if (refused !== undefined) throw refused;
    return found;
  };

  const costOf = ({ policy }: PolicyLimiter, options: TakeOptions | undefined): number => {
    if (options === undefined) return 1;
    assertShape(resource, takeShape, options);
    const { cost = 1 } = options;
    if (cost > policy.maxCost) throw tooCostly(resource, policy.name, cost, policy.maxCost);
    return cost;
  };

  const limiter: Limiter = {
    // Not async: it would wrap the promise of a decision in another one, which is a tenth of what a decision costs.
    take(policy, key, options) {
      try {
        const found = find(policy);
        return Promise.resolve(found.take(keyText(resource, key), costOf(found, options)));
      } catch (error) {
        return Promise.reject(error);
      }
    },
    async require(policy, key, options) {
      const decision = await limiter.take(policy, key, options);
      if (decision.allowed) return decision;
      throw rateLimited(resource, policy, decision.retryAfterMs);
    },
    async peek(policy, key, options) {
      const found = find(policy);
      return found.peek(keyText(resource, key), costOf(found, options));
    },
    async refund(decision) {
      if (!Decision.is(decision)) throw notADecision(resource);
      const found = find(decision.policy);
      if (refunded.has(decision)) return;
      refunded.add(decision);
      await found.refund(decision);
    },
    async reset(policy, key) {
      await find(policy).reset(keyText(resource, key));
    },
  };
  return Object.freeze(limiter);
}

function unknownPolicy(resource: string, policy: string, known: readonly string[]): StewardError {
  const near = typeof policy === "string" ? nearest(policy, known) : undefined;
  const hint = near === undefined ? `there are ${known.join(", ")}` : `did you mean "${near}"?`;
  return new StewardError("RATE_POLICY_UNKNOWN", `${resource}: there is no policy "${String(policy)}"; ${hint}`, {
    resource,
  });
}

function tooCostly(resource: string, policy: string, cost: number, most: number): StewardError {
  const message = `${resource}: a cost of ${cost} is never within policy "${policy}", which allows ${most} at once; split the work, or raise the limit`;
  return new StewardError("RATE_COST_INVALID", message, { resource });
}

function notADecision(resource: string): StewardError {
  const message = `${resource}: refund takes the decision that take() gave`;
  return new StewardError("OPTIONS_INVALID", message, { resource });
}
