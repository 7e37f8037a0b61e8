import { breakerShape, type BreakerOptions, type BreakerStats } from "./breaker.ts";
import type { CallAbout, CallEnd } from "../trace/call-event.ts";
import type { Clock } from "../time/clock.ts";
import type { StewardError } from "../errors.ts";
import { retryShape, type RetryOptions } from "./retry.ts";
import {
  flag,
  func,
  funcOr,
  literalOr,
  milliseconds,
  required,
  rule,
  signal,
  text,
  wholeNumber,
  withMethods,
  type Rule,
} from "../options/rules.ts";
import { shape, type RulesOf, type Shape } from "../options/shape.ts";
import type { Verdict } from "../health/verdict.ts";

/** Bounds of a guard. */
export interface GuardBounds {
  /** Name of the resource it guards. */
  readonly resource: string;
  /** What messages speak of, where one resource has several guards: `http https://api.example.com`. Default: `resource`. */
  readonly subject?: string | undefined;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Calls that may run at once. Default: no bound. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that may wait for a place; one more is refused with `OVERLOADED`. 0: none waits. Default: ten times `maxConcurrent`, at most 1,000. */
  readonly maxPending?: number | undefined;
  /** Deadline of a call, time in the queue included, in ms. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Longest wait until an operation says {@link Call.acquired}, time in the queue included, in ms. Default: none. */
  readonly acquireTimeoutMs?: number | undefined;
  /** True when a call that ran into its deadline keeps its place until the driver really let go. Default `false`. */
  readonly holdUntilSettled?: boolean | undefined;
  /** Opens when the resource does not answer. Default `false`: no breaker. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Makes calls again that failed and say that they are idempotent. Default `false`: no retry. */
  readonly retry?: RetryOptions | false | undefined;
  /** What an error says about the resource. Default: {@link usualVerdict}. */
  readonly judge?: ((error: unknown) => Verdict) | undefined;
  /**
   * Asks the resource for a sign of life, other than by a call. Asked when calls in flight get no answer, and while the
   * breaker is open. Default: it cannot be asked, and calls alone show how it is.
   */
  readonly ask?: ((signal: AbortSignal) => Promise<void> | void) | undefined;
  /** Longest wait for the answer to `ask`, in ms. Default 1,000. */
  readonly askTimeoutMs?: number | undefined;
  /** Called when calls have shown something new about the resource: see `Guard.evidence`. */
  readonly onEvidence?: (() => void) | undefined;
  /** Whether a call that failed so may be made again. Default: every failure that is not an error of ours marked otherwise. */
  readonly isRetryable?: ((error: unknown) => boolean) | undefined;
  /** What its calls are in a trace, by OpenTelemetry's conventions. Asked for only where somebody listens. Default: nothing is said. */
  readonly about?: (() => CallAbout | undefined) | undefined;
  /** Says why nothing is accepted now, or `undefined` when calls are welcome. */
  readonly refusal?: (() => StewardError | undefined) | undefined;
}

/** Bounds of the guard of a resource of one's own. */
export interface ResourceGuardOptions extends Pick<
  GuardBounds,
  "maxConcurrent" | "maxPending" | "timeoutMs" | "retry" | "judge" | "isRetryable"
> {
  /** Opens when the resource does not answer. `false` for none. Default: one with its defaults. */
  readonly breaker?: BreakerOptions | false | undefined;
}

/** What a single call may ask for. */
export interface CallOptions {
  /** Deadline of this call, in ms from now. The smallest of call, guard and request context counts. */
  readonly timeoutMs?: number | undefined;
  /** Gives up the call when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** True when making it twice does no harm, so that the guard may retry it. Default `false`. */
  readonly idempotent?: boolean | undefined;
  /** What events and log lines call it, such as `GetObject`; a function is asked only where somebody listens. Default: nothing. */
  readonly operation?: string | (() => string | undefined) | undefined;
  /** What it is in a trace, by OpenTelemetry's conventions; asked for at its begin and its end, only where somebody listens. Default: nothing is said. */
  readonly about?: ((end?: CallEnd) => CallAbout | undefined) | undefined;
}

/** What the options of a call must be. For drivers that take them from their users. */
export function callRules(): RulesOf<CallOptions> {
  return {
    timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
    signal: signal(),
    idempotent: flag(),
    operation: funcOr(text()),
    about: func(),
  };
}

/** What an operation learns about its call. */
export interface Call {
  /** Instant by which it has to be done, in ms of the clock; `Infinity` when there is none. */
  readonly deadline: number;
  /** Aborts when the call is given up. Made when first asked for, so that it costs nothing unasked. */
  readonly signal: AbortSignal;
  /**
   * Says that the call has what it waited for (a connection, a lease), so `acquireTimeoutMs` no longer counts: from
   * here the total deadline does, or `timeoutMs` from now where it is given (`Infinity`: as long as it takes).
   */
  acquired(timeoutMs?: number): void;
  /** As {@link acquired}, for what its caller keeps for a while: how long that takes says nothing about the resource. */
  held(timeoutMs?: number): void;
}

/**
 * Numbers of a guard. `started = succeeded + failed + inUse`, where a call that is given up counts as failed. With
 * `holdUntilSettled` it is in `inUse` besides, until the driver has let go of it.
 */
export interface GuardStats {
  readonly inUse: number;
  /** The most that ran at once so far. */
  readonly peakInUse: number;
  /** How many may run at once; `undefined` where there is no bound. */
  readonly maxConcurrent: number | undefined;
  /** How many may wait. */
  readonly maxPending: number;
  readonly pending: number;
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Of those that failed: with `OUTCOME_UNKNOWN`. */
  readonly unknown: number;
  /** Refused because the queue was full. */
  readonly overloaded: number;
  /** Ran into their deadline, queued or running. */
  readonly timedOut: number;
  /** Attempts behind the first. */
  readonly retried: number;
  /** Numbers of the breaker, where there is one. */
  readonly breaker: BreakerStats | undefined;
}

/** What a guard runs. */
export type Operation<T> = (call: Call) => PromiseLike<T> | T;

/** A bound that may be none at all. */
function unbounded(inner: Rule): Rule {
  return rule(inner.expects, (value) => (value === Number.POSITIVE_INFINITY ? undefined : inner(value)));
}

/** What the options of a guard must be. */
export const guardShape: Shape<GuardBounds & { readonly evidence?: unknown }> = /* @__PURE__ */ shape<
  GuardBounds & { readonly evidence?: unknown }
>(() => ({
  resource: required(text()),
  subject: text(),
  clock: required(withMethods("a clock", "now", "wallNow", "setTimeout", "sleep")),
  maxConcurrent: unbounded(wholeNumber(1)),
  maxPending: unbounded(wholeNumber(0)),
  timeoutMs: unbounded(milliseconds()),
  acquireTimeoutMs: unbounded(milliseconds()),
  holdUntilSettled: flag(),
  breaker: literalOr(false, breakerShape),
  retry: literalOr(false, retryShape),
  judge: func(),
  isRetryable: func(),
  ask: func(),
  askTimeoutMs: milliseconds(),
  evidence: rule("a guard", () => "must be a guard"), // one that is brings options that are not looked at
  onEvidence: func(),
  refusal: func(),
  about: func(),
}));

/** What the guard of a resource of one's own must be. */
export const resourceGuardShape: Shape<ResourceGuardOptions> = /* @__PURE__ */ shape<ResourceGuardOptions>(() => ({
  maxConcurrent: unbounded(wholeNumber(1)),
  maxPending: unbounded(wholeNumber(0)),
  timeoutMs: unbounded(milliseconds()),
  breaker: literalOr(false, breakerShape),
  retry: literalOr(false, retryShape),
  judge: func(),
  isRetryable: func(),
}));
