import { breakerShape } from "./breaker.ts";
import type { GuardOptions } from "./options.ts";
import type { ResourceGuardOptions } from "./guarded.ts";
import {
  flag,
  func,
  literalOr,
  milliseconds,
  recognised,
  required,
  rule,
  text,
  wholeNumber,
  withMethods,
  type Rule,
} from "../options/rules.ts";
import { shape, type Shape } from "../options/shape.ts";
import { retryShape } from "./retry.ts";

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
