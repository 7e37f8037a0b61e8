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
  #head: GuardedCall | undefined;
  #tail: GuardedCall | undefined;
  #pending = 0;
  #inUse = 0;
  #started = 0;
  #succeeded = 0;
  #failed = 0;
  #overloaded = 0;
  #timedOut = 0;
  #idleWaiters: (() => void)[] = [];

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#resource = options.resource;
    this.#clock = options.clock;
    this.#wheel = deadlineWheel(options.clock);
    this.#maxConcurrent = options.maxConcurrent ?? Number.POSITIVE_INFINITY;
    this.#maxPending = options.maxPending ?? 0;
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
      const call = new GuardedCall(this, operation, resolve as (value: unknown) => void, reject, this.#clock.now()); // `operation` gives a T
      this.#bound(call, options);
      if (call.settled) return;
      if (this.#inUse < this.#maxConcurrent && this.#head === undefined) this.#begin(call);
      else if (this.#pending < this.#maxPending) this.#enqueue(call); // the queue does not care what a call gives
      else this.#overload(call);
    });
  }

  /** Waits until nothing runs or waits any more. */
  idle(): Promise<void> {
    if (this.#inUse === 0 && this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Rejects everything that waits in the queue. What runs goes on. */
  rejectPending(error: Error): void {
    for (let call = this.#head; call !== undefined; call = this.#head) call.fail(error);
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
  settled(call: GuardedCall, error: unknown): void {
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.remove(call);
    if (call.queued) this.#dequeue(call);
    else if (call.started) {
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

  /** @internal The driver let go of a call that was given up before. */
  late(call: GuardedCall): void {
    if (call.holdsPlace) this.#free(call);
    this.#wakeIdle();
  }

  /** @internal */
  timeout(call: GuardedCall): StewardError {
    this.#timedOut++;
    const waited = Math.round(this.#clock.now() - call.since);
    const where = call.queued ? `still queued behind ${this.#pending - 1} others` : "no answer";
    return new StewardError("DEADLINE_EXCEEDED", `${this.#resource}: ${where} after ${waited} ms (${this.#numbers()})`, {
      resource: this.#resource,
      retryable: call.queued,
    });
  }

  #bound(call: GuardedCall, options: CallOptions | undefined): void {
    const context = currentContext();
    const timeoutMs = Math.min(options?.timeoutMs ?? Number.POSITIVE_INFINITY, this.#options.timeoutMs ?? Number.POSITIVE_INFINITY);
    call.deadline = Math.min(call.since + timeoutMs, context?.deadline ?? Number.POSITIVE_INFINITY);
    if (call.deadline <= call.since) return call.fail(this.timeout(call));
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.add(call);
    const signal = options?.signal ?? context?.signal;
    if (signal !== undefined) call.follow(signal, this.#resource);
  }

  #begin(call: GuardedCall): void {
    this.#inUse++;
    this.#started++;
    call.start(this.#clock.now());
  }

  #free(call: GuardedCall): void {
    call.holdsPlace = false;
    this.#inUse--;
    const next = this.#head;
    if (next === undefined || this.#inUse >= this.#maxConcurrent) return;
    this.#dequeue(next);
    this.#begin(next);
  }

  #overload(call: GuardedCall): void {
    this.#overloaded++;
    const message = `${this.#resource}: the queue is full (${this.#numbers()}); raise its bounds, or send less at once`;
    call.fail(new StewardError("OVERLOADED", message, { resource: this.#resource, retryable: true }));
  }

  #numbers(): string {
    const max = this.#maxConcurrent === Number.POSITIVE_INFINITY ? "" : ` of ${this.#maxConcurrent}`;
    return `in use ${this.#inUse}${max}, pending ${this.#pending}${max === "" ? "" : ` of ${this.#maxPending}`}`;
  }

  #enqueue(call: GuardedCall): void {
    call.queued = true;
    call.ahead = this.#tail;
    if (this.#tail === undefined) this.#head = call;
    else this.#tail.behind = call;
    this.#tail = call;
    this.#pending++;
  }

  #dequeue(call: GuardedCall): void {
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

/** One call on its way through a guard: its place in the queue, its deadline and its promise. */
class GuardedCall extends Expiring implements Call {
  readonly #guard: Guard;
  readonly #operation: Operation<unknown>;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly since: number;
  startedAt: number | undefined = undefined;
  settled = false;
  queued = false;
  holdsPlace = false;
  inDriver = false;
  ahead: GuardedCall | undefined = undefined;
  behind: GuardedCall | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #unfollow: (() => void) | undefined = undefined;

  constructor(guard: Guard, operation: Operation<unknown>, resolve: (value: unknown) => void, reject: (error: unknown) => void, since: number) {
    super();
    this.#guard = guard;
    this.#operation = operation;
    this.#resolve = resolve;
    this.#reject = reject;
    this.since = since;
  }

  get started(): boolean {
    return this.startedAt !== undefined;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  start(now: number): void {
    this.startedAt = now;
    this.holdsPlace = this.inDriver = true;
    try {
      const result = this.#operation(this);
      if (isThenable(result)) result.then((value) => this.#answer(value), (error: unknown) => this.#fault(error));
      else this.#answer(result);
    } catch (error) {
      this.#fault(error);
    }
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#unfollow?.();
    this.#reject(error);
    this.#guard.settled(this, error ?? new Error("rejected with nothing"));
    this.#controller?.abort(error);
  }

  expire(): void {
    if (!this.settled) this.fail(this.#guard.timeout(this));
  }

  follow(signal: AbortSignal, resource: string): void {
    const abort = (): void =>
      this.fail(new StewardError("CALL_ABORTED", `${resource}: the caller gave up`, { resource, cause: signal.reason }));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", abort);
  }

  #answer(value: unknown): void {
    this.inDriver = false;
    if (this.settled) return this.#guard.late(this);
    this.settled = true;
    this.#unfollow?.();
    this.#resolve(value);
    this.#guard.settled(this, undefined);
  }

  #fault(error: unknown): void {
    this.inDriver = false;
    if (this.settled) this.#guard.late(this);
    else this.fail(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
