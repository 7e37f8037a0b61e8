import type { BreakerOptions } from "./breaker.ts";
import type { GuardOptions } from "./guard-options.ts";
import type { ResourceGuardOptions } from "./guarded.ts";
import {
  flag,
  func,
  literalOr,
  milliseconds,
  recognised,
  required,
  rule,
  share,
  text,
  wholeNumber,
  withMethods,
  type Rule,
} from "./options/rules.ts";
import { shape, type Shape } from "./options/shape.ts";
import type { RetryOptions } from "./retry.ts";

/** What the options of a breaker must be. */
export const breakerShape: Shape<BreakerOptions> = /* @__PURE__ */ shape<BreakerOptions>(() => ({
  consecutiveFailures: wholeNumber(1),
  failureRatio: share(),
  minimumThroughput: wholeNumber(1),
  samplingDurationMs: milliseconds(),
  slowCallMs: milliseconds(),
  slowCallRatio: share(),
  stallMs: milliseconds(),
  breakDurationMs: milliseconds(),
  rampMs: milliseconds(),
  rampConcurrency: wholeNumber(1),
}));

const retryShape: Shape<RetryOptions> = /* @__PURE__ */ shape<RetryOptions>(() => ({
  maxAttempts: wholeNumber(1),
  baseDelayMs: milliseconds(),
  maxDelayMs: milliseconds(),
  budgetRatio: share(true),
}));

/** A bound that may be none at all. */
function unbounded(inner: Rule): Rule {
  return rule(inner.expects, (value) => (value === Number.POSITIVE_INFINITY ? undefined : inner(value)));
}

/** What the options of a guard must be. */
export const guardShape: Shape<GuardOptions> = /* @__PURE__ */ shape<GuardOptions>(() => ({
  resource: required(text()),
  subject: text(),
  clock: required(withMethods("a clock", "now", "setTimeout", "sleep")),
  maxConcurrent: unbounded(wholeNumber(1)),
  maxPending: unbounded(wholeNumber(0)),
  timeoutMs: unbounded(milliseconds()),
  acquireTimeoutMs: unbounded(milliseconds()),
  holdUntilSettled: flag(),
  breaker: breakerShape,
  retry: retryShape,
  judge: func(),
  isRetryable: func(),
  ask: func(),
  askTimeoutMs: milliseconds(),
  evidence: recognised((value) => typeof value === "object" && value !== null && "evidence" in value, "a guard"),
  onEvidence: func(),
  refusal: func(),
}));

/** What the guard of a resource of one's own must be. */
export const resourceGuardShape: Shape<ResourceGuardOptions> = /* @__PURE__ */ shape<ResourceGuardOptions>(() => ({
  maxConcurrent: unbounded(wholeNumber(1)),
  maxPending: unbounded(wholeNumber(0)),
  timeoutMs: unbounded(milliseconds()),
  breaker: literalOr(false, breakerShape),
  retry: retryShape,
  judge: func(),
  isRetryable: func(),
}));
