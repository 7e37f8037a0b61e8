import { AsyncResource } from "node:async_hooks";
import type { CallAbout, CallEnd } from "../trace/call-event.ts";
import { runWithContext } from "../context.ts";
import type { RequestSpan } from "../trace/request-event.ts";
import type { Timer } from "../time/clock.ts";
import { StewardError } from "../errors.ts";
import type { Call, CallOptions, Operation } from "./options.ts";
import { isThenable } from "../thenable.ts";
import { TimerEntry } from "../time/timing-wheel.ts";

/** What a use asks of the guard that let it in. */
export interface UseOwner {
  /** It has its result, or was given up. */
  settled(use: GuardedUse, error: unknown): void;
  /** The driver let go of it after it was given up. */
  driverReleased(use: GuardedUse): void;
  /** The pause before its next attempt, in ms; `undefined` when there is none. */
  claimRetry(use: GuardedUse, attempt: number, error: unknown, atLeastMs: number): number | undefined;
  /** Ends its attempt, and begins the next one after a pause. */
  pauseBefore(use: GuardedUse, pauseMs: number, error: unknown): Timer;
  endPause(use: GuardedUse, pause: Timer): void;
  /** The error of its deadline. */
  timeout(use: GuardedUse): StewardError;
  acquired(use: GuardedUse, timeoutMs: number | undefined): void;
  held(use: GuardedUse, timeoutMs: number | undefined): void;
  answered(use: GuardedUse, timeoutMs: number): void;
}

/**
 * One use of a guarded resource that reports its progress by callbacks instead of a promise: what a driver's narrow
 * seam needs. Subclass it, hand it to `Guard.enter`, and call {@link succeed} or {@link fail} when the driver
 * let go; one object per use is all it costs.
 */
export abstract class GuardedUse extends TimerEntry {
  /** Instant at which it was asked for, in ms of the guard's clock. */
  since = 0;
  /** @internal Instant by which it has to be done in all; `deadline` may be nearer while it still acquires. */
  total: number = Number.POSITIVE_INFINITY;
  /** Instant at which it got its place; `undefined` while it waits. */
  startedAt: number | undefined = undefined;
  /** True from {@link succeed}, {@link fail} or being given up on. */
  settled = false;
  /** @internal */
  queued = false;
  /** @internal */
  holdsPlace = false;
  /** @internal */
  inDriver = false;
  /** @internal True once its first evidence has been reported. */
  hasOutcome = false;
  /** @internal What its answer says against the resource; `undefined` where it says nothing. */
  answerError: unknown = undefined;
  /** @internal Ticket of the breaker; -1 without one. */
  ticket = -1;
  /** W3C `traceparent` for what it sends: of its span, or else of the work that made it. */
  traceContext: string | undefined = undefined;
  /** @internal What stands for it in a trace. */
  span: RequestSpan | undefined = undefined;
  /** @internal Neighbours in the queue, and later among the calls that run. */
  ahead: GuardedUse | undefined = undefined;
  /** @internal */
  behind: GuardedUse | undefined = undefined;
  #guard: UseOwner | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;
  #unfollow: (() => void) | undefined = undefined;
  /** Which attempt this is, the first being 1. */
  #attempt = 1;
  #pause: Timer | undefined = undefined;

  /** True while it has its place and still waits for a connection. It is refused when the breaker opens, as what waits for a place is. */
  get isAcquiring(): boolean {
    return false;
  }

  /** What events call it. Asked for only where somebody listens. */
  get operation(): string | undefined {
    return undefined;
  }

  /**
   * What it is in a trace, besides what its guard says of all. Asked for only where somebody listens.
   *
   * @param _end how it ended; `undefined` while it begins.
   */
  about(_end?: CallEnd): CallAbout | undefined {
    return undefined;
  }

  /** It has its place: hand it to the driver. Called again for every further attempt. */
  protected abstract begin(): void;

  /** It failed or was given up: refused, overloaded, out of time, aborted. Called once at most, before its place goes to the next. */
  protected abstract giveUp(error: unknown): void;

  /** It is done: frees its place. Does nothing but that once it was given up. */
  succeed(): void {
    this.inDriver = false;
    if (this.settled) return this.#guard?.driverReleased(this);
    this.settled = true;
    this.#unfollow?.();
    this.#guard?.settled(this, undefined);
  }

  /** It failed: {@link giveUp} is called, and its place is freed. Does nothing but free its place once it was given up. */
  fail(error: unknown): void {
    this.inDriver = false;
    if (this.settled) this.#guard?.driverReleased(this);
    else this.abandon(error);
  }

  /**
   * Asks the guard for another attempt after `error`, to be begun with {@link retryIn}.
   *
   * @param atLeastMs the shortest pause before it, in ms.
   * @returns the pause before it in ms, or `undefined` when there is none: no retry set, nothing worth repeating,
   * attempts, budget or time used up.
   */
  protected claimRetry(error: unknown, atLeastMs = 0): number | undefined {
    return this.settled ? undefined : this.#guard?.claimRetry(this, this.#attempt, error, atLeastMs);
  }

  /** Ends this attempt with `error`: its place is freed now, and `begin` is called once more after the pause. */
  protected retryIn(pauseMs: number, error: unknown): void {
    if (this.settled || this.#guard === undefined) return;
    this.inDriver = false;
    this.#attempt++;
    this.#pause = this.#guard.pauseBefore(this, pauseMs, error);
  }

  override expire(): void {
    if (!this.settled && this.#guard !== undefined) this.abandon(this.#guard.timeout(this));
  }

  /** @internal True when its caller has gone, though its own listener has not been called yet. */
  get isOrphaned(): boolean {
    return this.#signal?.aborted === true;
  }

  /** @internal Given up from outside, while the driver may still be at it. */
  abandon(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#unfollow?.();
    if (this.#pause !== undefined) this.#guard?.endPause(this, this.#pause);
    try {
      this.giveUp(error);
    } finally {
      this.#guard?.settled(this, error ?? new Error("rejected with nothing"));
    }
  }

  /** @internal */
  enter(guard: UseOwner, now: number): void {
    this.#guard = guard;
    this.since = now;
  }

  /**
   * It has what it waited for (a connection, a lease), so the guard's `acquireTimeoutMs` no longer counts: from here
   * the total deadline does, or `timeoutMs` from now where it is given (`Infinity`: as long as it takes).
   */
  acquired(timeoutMs?: number): void {
    this.#guard?.acquired(this, timeoutMs);
  }

  /**
   * It has what it waited for and keeps it for a while (a lease, a connection of its own): as {@link acquired}, and how
   * long that takes, or how it ends, says nothing about the resource.
   */
  held(timeoutMs?: number): void {
    this.#guard?.held(this, timeoutMs);
  }

  /**
   * The resource answered: what counts for breaker, retry and in-flight age is over. The use goes on as a lease until
   * {@link succeed} or {@link fail}, with another deadline: `timeoutMs` from now (`Infinity`: as long as it takes).
   * Call it again with each chunk, so that the deadline bounds the time between chunks.
   *
   * @param complaint What the answer says against the resource, such as a status 503 that its caller is handed all
   * the same: breaker, counts and events take the use for a failure, while its caller gets what came.
   */
  answered(timeoutMs: number, complaint?: unknown): void {
    this.answerError ??= complaint;
    this.#guard?.answered(this, timeoutMs);
  }

  /** It has to wait for its place, and begins in a callback of somebody else: one that runs code of its caller notes its context here. */
  waits(): void {}

  /** @internal Another attempt is to be made. */
  forgetAttempt(): void {
    this.startedAt = this.answerError = undefined;
    this.hasOutcome = false;
  }

  /** @internal */
  start(now: number): void {
    this.startedAt = now;
    this.holdsPlace = this.inDriver = true;
    this.begin();
  }

  /** @internal */
  follow(signal: AbortSignal, resource: string): void {
    const abort = (): void =>
      this.abandon(
        new StewardError("CALL_ABORTED", `${resource}: the caller gave up`, { resource, cause: signal.reason }),
      );
    if (signal.aborted) return abort();
    this.#signal = signal;
    signal.addEventListener("abort", abort);
    const unfollow = (): void => signal.removeEventListener("abort", abort);
    this.#unfollow = unfollow; // V8 puts a function that is assigned as it is written among the old objects
  }
}

/** A use that an operation makes and a promise reports. */
export class GuardedCall extends GuardedUse implements Call {
  readonly #operation: Operation<unknown>;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #retry: boolean;
  readonly #name: CallOptions["operation"];
  readonly #about: CallOptions["about"];
  #controller: AbortController | undefined = undefined;
  /** Where it was asked for, once it had to wait. */
  #within: AsyncResource | undefined = undefined;

  constructor(
    operation: Operation<unknown>,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
    mayRetry: boolean,
    options: CallOptions | undefined,
  ) {
    super();
    this.#retry = mayRetry && options?.idempotent === true;
    this.#name = options?.operation;
    this.#about = options?.about;
    this.#operation = operation;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override get operation(): string | undefined {
    return typeof this.#name === "function" ? this.#name() : this.#name;
  }

  override about(end?: CallEnd): CallAbout | undefined {
    return this.#about?.(end);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  override waits(): void {
    this.#within = new AsyncResource("steward.call", { requireManualDestroy: true });
  }

  protected override begin(): void {
    if (this.#within === undefined) this.#operate();
    else this.#within.runInAsyncScope(this.#operate, this);
  }

  #operate(): void {
    try {
      const result = this.span === undefined ? this.#operation(this) : this.#traced(this.span);
      if (isThenable(result))
        result.then(
          (value) => this.#answer(value),
          (error: unknown) => this.fail(error),
        );
      else this.#answer(result);
    } catch (error) {
      this.fail(error);
    }
  }

  /** What it calls belongs to its span. */
  #traced(span: RequestSpan): unknown {
    return runWithContext({ traceContext: span.traceContext }, () => span.run(() => this.#operation(this)));
  }

  override fail(error: unknown): void {
    const pauseMs = this.#retry ? this.claimRetry(error) : undefined;
    if (pauseMs === undefined) super.fail(error);
    else this.retryIn(pauseMs, error);
  }

  protected override giveUp(error: unknown): void {
    this.#reject(error);
    this.#controller?.abort(error);
  }

  #answer(value: unknown): void {
    if (!this.settled) this.#resolve(value);
    this.succeed();
  }
}
