import { publishCall } from "./channels.ts";
import type { Clock } from "./clock.ts";
import { currentContext } from "./context.ts";
import { StewardError } from "./errors.ts";
import { deadlineWheel, Expiring, type DeadlineWheel } from "./timers.ts";

/** Bounds of a guard. */
export interface GuardOptions {
  /** Name of the resource it guards. */
  readonly resource: string;
  readonly clock: Clock;
  /** Calls that may run at once. Default: no bound. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that may wait for a place; one more is refused. Default 0 where `maxConcurrent` is given it should be set. */
  readonly maxPending?: number | undefined;
  /** Deadline of a call, time in the queue included, in ms. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Longest wait until an operation says {@link Call.acquired}, time in the queue included, in ms. Default: none. */
  readonly acquireTimeoutMs?: number | undefined;
  /** True when a call that ran into its deadline keeps its place until the driver really let go. Default `false`. */
  readonly holdUntilSettled?: boolean | undefined;
  /** Says why nothing is accepted now, or `undefined` when calls are welcome. */
  readonly refusal?: () => StewardError | undefined;
}

/** What a single call may ask for. */
export interface CallOptions {
  /** Deadline of this call, in ms from now. The smallest of call, guard and request context counts. */
  readonly timeoutMs?: number | undefined;
  /** Gives up the call when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** What an operation is told about its call. */
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
}

/** Numbers of a guard. `started = succeeded + failed + inUse`, where a call that is given up counts as failed. */
export interface GuardStats {
  readonly inUse: number;
  readonly pending: number;
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Refused because the queue was full. */
  readonly overloaded: number;
  /** Ran into their deadline, queued or running. */
  readonly timedOut: number;
}

type Operation<T> = (call: Call) => PromiseLike<T> | T;

/**
 * One use of a guarded resource that tells its progress by callbacks instead of a promise: what a driver's narrow
 * seam needs. Subclass it, hand it to {@link Guard.enter}, and call {@link succeed} or {@link fail} when the driver
 * let go; one object per use is all it costs.
 */
export abstract class GuardedUse extends Expiring {
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
  /** @internal */
  ahead: GuardedUse | undefined = undefined;
  /** @internal */
  behind: GuardedUse | undefined = undefined;
  #guard: Guard | undefined = undefined;
  #unfollow: (() => void) | undefined = undefined;

  /** It has its place: hand it to the driver. */
  protected abstract begin(): void;

  /** It failed or was given up: refused, overloaded, out of time, aborted. Called once at most, before its place goes to the next. */
  protected abstract giveUp(error: unknown): void;

  /** It is done: frees its place. Does nothing but that once it was given up. */
  succeed(): void {
    this.inDriver = false;
    if (this.settled) return this.#guard?.late(this);
    this.settled = true;
    this.#unfollow?.();
    this.#guard?.settled(this, undefined);
  }

  /** It failed: {@link giveUp} is told, and its place is freed. Does nothing but free its place once it was given up. */
  fail(error: unknown): void {
    this.inDriver = false;
    if (this.settled) this.#guard?.late(this);
    else this.abandon(error);
  }

  override expire(): void {
    if (!this.settled && this.#guard !== undefined) this.abandon(this.#guard.timeout(this));
  }

  /** @internal Given up from outside, while the driver may still be at it. */
  abandon(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#unfollow?.();
    try {
      this.giveUp(error);
    } finally {
      this.#guard?.settled(this, error ?? new Error("rejected with nothing"));
    }
  }

  /** @internal */
  enter(guard: Guard, now: number): void {
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

  /** @internal */
  start(now: number): void {
    this.startedAt = now;
    this.holdsPlace = this.inDriver = true;
    this.begin();
  }

  /** @internal */
  follow(signal: AbortSignal, resource: string): void {
    const abort = (): void =>
      this.abandon(new StewardError("CALL_ABORTED", `${resource}: the caller gave up`, { resource, cause: signal.reason }));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", abort);
  }
}

/**
 * What every managed use passes through: it bounds how many calls run and wait, and how long each may take in all.
 *
 * A freed place goes to the head of the queue in the same tick, so nobody overtakes; a call that is given up leaves
 * at once and frees its place.
 */
export class Guard {
  readonly #resource: string;
  readonly #clock: Clock;
  readonly #wheel: DeadlineWheel;
  readonly #options: GuardOptions;
  readonly #maxConcurrent: number;
  readonly #maxPending: number;
  #head: GuardedUse | undefined;
  #tail: GuardedUse | undefined;
  #pending = 0;
  #inUse = 0;
  #started = 0;
  #succeeded = 0;
  #failed = 0;
  #overloaded = 0;
  #timedOut = 0;
  #filling = false;
  /** Places there are now; none while paused. */
  #limit: number;
  #idleWaiters: (() => void)[] = [];

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#resource = options.resource;
    this.#clock = options.clock;
    this.#wheel = deadlineWheel(options.clock);
    this.#maxConcurrent = options.maxConcurrent ?? Number.POSITIVE_INFINITY;
    this.#maxPending = options.maxPending ?? 0;
    this.#limit = this.#maxConcurrent;
  }

  /**
   * Runs `operation` as soon as there is a place for it, and settles by its deadline.
   *
   * @throws {RESOURCE_UNAVAILABLE} when the resource accepts no calls now.
   * @throws {OVERLOADED} when all places are taken and the queue is full.
   * @throws {DEADLINE_EXCEEDED} when time runs out, in the queue or later.
   * @throws {CALL_ABORTED} when the caller's signal aborts.
   */
  run<T>(operation: Operation<T>, options?: CallOptions): Promise<T> {
    const refusal = this.#options.refusal?.();
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise<T>((resolve, reject) => {
      this.#admit(new GuardedCall(operation, resolve as (value: unknown) => void, reject), options); // `operation` gives a T
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
    use.enter(this, this.#clock.now());
    this.#bound(use, options);
    if (use.settled) return;
    if (this.#inUse < this.#limit && this.#head === undefined) this.#begin(use);
    else if (this.#pending < this.#maxPending) this.#enqueue(use);
    else this.#overload(use);
  }

  /** Waits until nothing runs or waits any more. */
  idle(): Promise<void> {
    if (this.#inUse === 0 && this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Rejects everything that waits in the queue. What runs goes on. */
  rejectPending(error: Error): void {
    for (let call = this.#head; call !== undefined; call = this.#head) call.abandon(error);
  }

  /** Begins nothing from here on: calls wait in the queue, within its bound and their deadlines. What runs goes on. */
  pause(): void {
    this.#limit = 0;
  }

  /** Goes on after {@link pause}: what waited begins in its order. */
  resume(): void {
    this.#limit = this.#maxConcurrent;
    if (!this.#filling) this.#fill();
  }

  /** The numbers of now. */
  stats(): GuardStats {
    return {
      inUse: this.#inUse,
      pending: this.#pending,
      started: this.#started,
      succeeded: this.#succeeded,
      failed: this.#failed,
      overloaded: this.#overloaded,
      timedOut: this.#timedOut,
    };
  }

  /** @internal A call has its result, or was given up. */
  settled(call: GuardedUse, error: unknown): void {
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.remove(call);
    if (call.queued) this.#dequeue(call);
    else if (call.startedAt !== undefined) {
      if (error === undefined) this.#succeeded++;
      else this.#failed++;
      if (!(this.#options.holdUntilSettled === true && call.inDriver)) this.#free(call);
    }
    publishCall(() => {
      const now = this.#clock.now();
      return { resource: this.#resource, durationMs: now - call.since, queuedMs: (call.startedAt ?? now) - call.since, error };
    });
    this.#wakeIdle();
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
  late(call: GuardedUse): void {
    if (call.holdsPlace) this.#free(call);
    this.#wakeIdle();
  }

  /** @internal */
  timeout(call: GuardedUse): StewardError {
    this.#timedOut++;
    const waited = Math.round(this.#clock.now() - call.since);
    const where = call.queued ? `still queued behind ${this.#pending - 1} others` : "no answer";
    return new StewardError("DEADLINE_EXCEEDED", `${this.#resource}: ${where} after ${waited} ms (${this.#numbers()})`, {
      resource: this.#resource,
      retryable: call.queued,
    });
  }

  #bound(call: GuardedUse, options: CallOptions | undefined): void {
    const context = currentContext();
    const timeoutMs = Math.min(options?.timeoutMs ?? Number.POSITIVE_INFINITY, this.#options.timeoutMs ?? Number.POSITIVE_INFINITY);
    call.total = Math.min(call.since + timeoutMs, context?.deadline ?? Number.POSITIVE_INFINITY);
    call.deadline = Math.min(call.total, call.since + (this.#options.acquireTimeoutMs ?? Number.POSITIVE_INFINITY));
    if (call.deadline <= call.since) return call.abandon(this.timeout(call));
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.add(call);
    const signal = options?.signal ?? context?.signal;
    if (signal !== undefined) call.follow(signal, this.#resource);
  }

  #begin(call: GuardedUse): void {
    this.#inUse++;
    this.#started++;
    call.start(this.#clock.now());
  }

  #free(call: GuardedUse): void {
    call.holdsPlace = false;
    this.#inUse--;
    if (!this.#filling) this.#fill();
  }

  /** A loop, not recursion: calls that end at once would otherwise nest as deep as the queue is long. */
  #fill(): void {
    this.#filling = true;
    try {
      for (let next = this.#head; next !== undefined && this.#inUse < this.#limit; next = this.#head) {
        this.#dequeue(next);
        this.#begin(next);
      }
    } finally {
      this.#filling = false;
    }
  }

  #overload(call: GuardedUse): void {
    this.#overloaded++;
    const message = `${this.#resource}: the queue is full (${this.#numbers()}); raise its bounds, or send less at once`;
    call.abandon(new StewardError("OVERLOADED", message, { resource: this.#resource, retryable: true }));
  }

  #numbers(): string {
    const max = this.#maxConcurrent === Number.POSITIVE_INFINITY ? "" : ` of ${this.#maxConcurrent}`;
    return `in use ${this.#inUse}${max}, pending ${this.#pending}${max === "" ? "" : ` of ${this.#maxPending}`}`;
  }

  #enqueue(call: GuardedUse): void {
    call.queued = true;
    call.ahead = this.#tail;
    if (this.#tail === undefined) this.#head = call;
    else this.#tail.behind = call;
    this.#tail = call;
    this.#pending++;
  }

  #dequeue(call: GuardedUse): void {
    call.queued = false;
    if (call.ahead === undefined) this.#head = call.behind;
    else call.ahead.behind = call.behind;
    if (call.behind === undefined) this.#tail = call.ahead;
    else call.behind.ahead = call.ahead;
    call.ahead = call.behind = undefined;
    this.#pending--;
  }

  #wakeIdle(): void {
    if (this.#inUse > 0 || this.#pending > 0 || this.#idleWaiters.length === 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}

/** A use that an operation makes and a promise tells about. */
class GuardedCall extends GuardedUse implements Call {
  readonly #operation: Operation<unknown>;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #controller: AbortController | undefined = undefined;

  constructor(operation: Operation<unknown>, resolve: (value: unknown) => void, reject: (error: unknown) => void) {
    super();
    this.#operation = operation;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  protected override begin(): void {
    try {
      const result = this.#operation(this);
      if (isThenable(result)) result.then((value) => this.#answer(value), (error: unknown) => this.fail(error));
      else this.#answer(result);
    } catch (error) {
      this.fail(error);
    }
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

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
