import type { Breaker } from "./breaker.ts";
import { announce, EndedCall } from "../trace/about.ts";
import { callBeginsAreHeard, callsAreHeard, publishCall } from "../channels.ts";
import type { Clock, Timer } from "../time/clock.ts";
import { currentContext, type RequestContext } from "../context.ts";
import { isStewardError, type StewardError } from "../errors.ts";
import { Evidence, type GuardEvidence } from "../health/evidence.ts";
import { Histogram } from "../health/histogram.ts";
import { guardShape, type CallOptions, type GuardBounds, type GuardStats, type Operation } from "./options.ts";
import { addCalls, guardSeries, overloadError, timeoutError, type CallSums } from "./numbers.ts";
import { GuardedCall, type GuardedUse } from "./guarded-use.ts";
import type { HistogramValue, MetricSample } from "../ports/metrics.ts";
import { assertShape } from "../options/shape.ts";
import { Places } from "./places.ts";
import { RetryPolicy } from "./retry.ts";
import { timingWheelOf, type TimingWheel } from "../time/timing-wheel.ts";

/** What a guard is made with. */
export interface GuardOptions extends GuardBounds {
  /** Another guard that its attempts are evidence for: those of one connection count for the pool that lent it. Default: its own. */
  readonly evidence?: Guard | undefined;
}

/**
 * What every managed use passes through: it bounds how many calls run and wait, and how long each may take in all.
 *
 * A freed place goes to the head of the queue in the same tick, so no one overtakes; a call that is given up ends
 * at once and frees its place.
 */
export class Guard {
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #wheel: TimingWheel;
  readonly #options: GuardOptions;
  readonly #places: Places;
  readonly #counts = { succeeded: 0, failed: 0, unknown: 0, overloaded: 0, timedOut: 0, retried: 0 };
  readonly #durations = new Histogram();
  readonly #about: GuardOptions["about"];
  readonly #evidence: Evidence;
  readonly #breaker: Breaker | undefined;
  readonly #retry: RetryPolicy | undefined;
  /** Calls between two attempts. They were let in, so a drain waits for them. */
  readonly #pausing = new Set<GuardedUse>();
  #idleWaiters: (() => void)[] = [];

  /** @throws {OPTIONS_INVALID} listing every option that is unknown, missing or wrong. */
  constructor(options: GuardOptions) {
    // One for a lent connection is made per lease, by a driver, so that its options are not looked at.
    if (!(options.evidence instanceof Guard)) assertShape(options.resource ?? "guard", guardShape, options);
    this.#options = options;
    this.#resource = options.resource;
    this.#clock = options.clock;
    this.#wheel = timingWheelOf(options.clock);
    const { evidence } = options;
    this.#about = options.about ?? (evidence === undefined ? undefined : evidence.#about);
    this.#evidence = evidence === undefined ? new Evidence(options, this) : evidence.#evidence;
    this.#breaker = evidence === undefined ? this.#evidence.breaker : undefined;
    this.#places = new Places(options, this, this.#evidence, this.#breaker);
    const { retry = false } = options;
    this.#retry = retry === false ? undefined : new RetryPolicy(retry);
  }

  /** The breaker, where there is one: to isolate the resource, or to report that it answers again. */
  get breaker(): Breaker | undefined {
    return this.#breaker;
  }

  /**
   * Runs `operation` as soon as there is a place for it, and settles by its deadline.
   *
   * @throws {RESOURCE_UNAVAILABLE} when the resource accepts no calls now.
   * @throws {CIRCUIT_OPEN} while the resource does not answer.
   * @throws {OVERLOADED} when all places are taken and the queue is full.
   * @throws {DEADLINE_EXCEEDED} when time runs out, in the queue or later.
   * @throws {CALL_ABORTED} when the caller's signal aborts.
   */
  run<T>(operation: Operation<T>, options?: CallOptions): Promise<T> {
    const refusal = this.#options.refusal?.();
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise<T>((resolve, reject) => {
      const settle = resolve as (value: unknown) => void; // `operation` gives a T
      this.#admit(new GuardedCall(operation, settle, reject, this.#retry !== undefined, options), options);
    });
  }

  /**
   * Lets a use in as soon as there is a place for it; it learns from `begin` and `giveUp` what becomes of it, with
   * the errors of {@link run}.
   */
  enter(use: GuardedUse, options?: CallOptions): void {
    const refusal = this.#options.refusal?.();
    if (refusal === undefined) this.#admit(use, options);
    else use.abandon(refusal);
  }

  #admit(use: GuardedUse, options: CallOptions | undefined): void {
    const context = currentContext();
    use.enter(this, this.#clock.now());
    use.traceContext = context?.traceContext;
    if (callBeginsAreHeard()) announce(use, this.#resource, this.#about);
    this.#bound(use, options, context);
    if (use.settled) return;
    this.#retry?.earn();
    this.#places.place(use, use.since);
  }

  /** @internal How many calls at once it was made for, whatever it was resized to; `undefined` where there is no bound. */
  get madeFor(): number | undefined {
    const { maxConcurrent } = this.#options;
    return maxConcurrent === Number.POSITIVE_INFINITY ? undefined : maxConcurrent;
  }

  /** @internal True when all places are taken. */
  get isFull(): boolean {
    return this.#places.isFull;
  }

  /** @internal What waits when the breaker opens, for a place or for a connection, is refused now, not when its time has run out. */
  opened(acquiring: readonly GuardedUse[]): void {
    const breaker = this.#evidence.breaker;
    if (breaker === undefined || (this.#places.pending === 0 && acquiring.length === 0)) return;
    const refusal = breaker.refusal(this.#clock.now());
    this.#places.reject(refusal);
    for (const use of acquiring) use.abandon(refusal);
  }

  /** True when nothing runs or waits, for its turn or for its next attempt. */
  get isIdle(): boolean {
    return this.#places.isIdle && this.#pausing.size === 0;
  }

  /** Waits until nothing runs or waits any more. */
  idle(): Promise<void> {
    return this.isIdle ? Promise.resolve() : new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Rejects everything that waits, for its turn or for its next attempt. What runs goes on. */
  rejectPending(error: Error): void {
    for (const call of this.#pausing) call.abandon(error);
    this.#places.reject(error);
  }

  /** Begins nothing from here on: calls wait in the queue, within its bound and their deadlines. What runs goes on. */
  pause(): void {
    this.#places.pause();
  }

  /** Goes on after {@link pause}: what waited begins in its order. */
  resume(): void {
    this.#places.resume();
  }

  /** Sets how many calls, at least one, may run at once from here on. What runs goes on; what waits begins as soon as there is room. */
  resize(maxConcurrent: number): void {
    this.#places.resize(Math.max(1, Math.floor(maxConcurrent)));
  }

  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  get lastSuccessAt(): number {
    return this.#evidence.lastSuccessAt;
  }

  /** What calls show of the resource, now. */
  get evidence(): GuardEvidence {
    return this.#evidence.at(this.#clock.now());
  }

  /** Something else than a call has shown that the resource answers: an open breaker lets one call try at once. */
  answers(): void {
    this.#evidence.answered();
  }

  /** Connections were replaced: what calls on the old ones showed no longer counts. */
  renewed(): void {
    this.#evidence.renewed();
  }

  /** What it goes to was started anew: what calls showed before no longer counts, and all are let through. */
  started(): void {
    this.#evidence.started();
  }

  /** Ends its timers. Calls may still pass. */
  stop(): void {
    this.#evidence.stop();
  }

  /** How long calls took from their place to the first evidence, in s. */
  get durations(): HistogramValue {
    return this.#durations.value();
  }

  /** The current numbers as series, with the given attributes. */
  metrics(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    return guardSeries(this.stats(), this.durations, attributes);
  }

  /** The current numbers. */
  stats(): GuardStats {
    return { ...this.#places.stats(), ...this.#counts, breaker: this.#breaker?.stats() };
  }

  /** Adds its numbers to those of other guards; `maxConcurrent` is infinite where there is no bound. */
  addTo(sums: CallSums): void {
    addCalls(sums, this.#places.stats(), this.#counts.failed, this.#durations);
  }

  /** @internal A call has its result, or was given up. */
  settled(call: GuardedUse, error: unknown): void {
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.remove(call);
    if (call.queued) this.#places.dequeue(call);
    else if (call.startedAt !== undefined) this.#ended(call, error ?? call.answerError);
    if (callsAreHeard()) {
      const [now, why] = [this.#clock.now(), error ?? call.answerError];
      publishCall(new EndedCall(call, this.#resource, now, why, this.#about));
    }
    this.#wakeIdle();
  }

  /** An attempt is over: counts it and frees its place. */
  #ended(call: GuardedUse, error: unknown): void {
    this.#outcome(call, error);
    if (error === undefined) this.#counts.succeeded++;
    else this.#counts.failed++;
    if (error !== undefined && isStewardError(error, "OUTCOME_UNKNOWN")) this.#counts.unknown++;
    if (call.holdsPlace && !(this.#options.holdUntilSettled === true && call.inDriver)) this.#places.free(call);
  }

  /** The first evidence of how an attempt goes. */
  #outcome(call: GuardedUse, error: unknown): void {
    if (call.hasOutcome) return;
    call.hasOutcome = true;
    const now = this.#clock.now();
    const tookMs = now - (call.startedAt ?? now);
    this.#durations.record(tookMs / 1_000);
    this.#evidence.ended(call, now, tookMs, error, this.#counts.succeeded);
  }

  /** @internal The resource answered; from here the use is a lease with another deadline. */
  answered(call: GuardedUse, timeoutMs: number): void {
    if (call.settled) return;
    this.#outcome(call, call.answerError);
    this.acquired(call, timeoutMs);
  }

  /** @internal The use keeps what it has for a while, which says nothing about the resource. */
  held(call: GuardedUse, timeoutMs: number | undefined): void {
    if (call.settled) return;
    if (!call.hasOutcome) this.#evidence.withdrawn(call);
    call.hasOutcome = true;
    this.acquired(call, timeoutMs);
  }

  /** @internal When a call that failed may be made again, in ms from now; `undefined` when it may not. */
  claimRetry(call: GuardedUse, attempt: number, error: unknown, atLeastMs: number): number | undefined {
    if (this.#retry === undefined || !this.#isRetryable(error)) return undefined;
    const pauseMs = Math.max(this.#retry.next(attempt) ?? Number.POSITIVE_INFINITY, atLeastMs);
    return this.#clock.now() + pauseMs < call.total ? pauseMs : undefined;
  }

  #isRetryable(error: unknown): boolean {
    if (this.#options.isRetryable !== undefined) return this.#options.isRetryable(error);
    return this.#evidence.verdictOn(error) === "failure" && (!isStewardError(error) || error.retryable);
  }

  /** @internal Ends the attempt of a call and begins the next one `pauseMs` from now, or queues it then. */
  pauseBefore(call: GuardedUse, pauseMs: number, error: unknown): Timer {
    this.#counts.retried++;
    this.#ended(call, error);
    call.forgetAttempt();
    this.#pausing.add(call);
    // Not on the wheel: between two attempts nothing else may keep the process alive.
    return this.#clock.setTimeout(() => {
      this.#pausing.delete(call);
      this.#places.place(call, this.#clock.now());
    }, pauseMs);
  }

  /** @internal */
  endPause(call: GuardedUse, pause: Timer): void {
    pause.cancel();
    this.#pausing.delete(call);
  }

  /** @internal A call has what it waited for; another deadline counts from here. */
  acquired(call: GuardedUse, timeoutMs: number | undefined): void {
    const deadline = timeoutMs === undefined ? call.total : this.#clock.now() + timeoutMs;
    if (call.settled || deadline === call.deadline) return;
    this.#wheel.remove(call);
    call.deadline = deadline;
    if (deadline !== Number.POSITIVE_INFINITY) this.#wheel.add(call);
  }

  /** @internal The driver let go of a call that was given up before. */
  driverReleased(call: GuardedUse): void {
    if (call.holdsPlace) this.#places.free(call);
    this.#wakeIdle();
  }

  /** @internal */
  timeout(call: GuardedUse): StewardError {
    this.#counts.timedOut++;
    return timeoutError(this.#options, this.stats(), call, this.#clock.now());
  }

  #bound(call: GuardedUse, options: CallOptions | undefined, context: RequestContext | undefined): void {
    const timeoutMs = Math.min(
      options?.timeoutMs ?? Number.POSITIVE_INFINITY,
      this.#options.timeoutMs ?? Number.POSITIVE_INFINITY,
    );
    call.total = Math.min(call.since + timeoutMs, context?.deadline ?? Number.POSITIVE_INFINITY);
    call.deadline = Math.min(call.total, call.since + (this.#options.acquireTimeoutMs ?? Number.POSITIVE_INFINITY));
    if (call.deadline <= call.since) return call.abandon(this.timeout(call));
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.add(call);
    const signal = options?.signal ?? context?.signal;
    if (signal !== undefined) call.follow(signal, this.#resource);
  }

  /** @internal There is neither a place for it nor room in the queue. */
  overload(): StewardError {
    this.#counts.overloaded++;
    return overloadError(this.#options, this.stats());
  }

  #wakeIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.isIdle) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}
