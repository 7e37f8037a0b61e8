import { AsyncLocalStorage } from "node:async_hooks";
import { currentContext } from "../context.ts";
import { StewardError } from "../errors.ts";
import { ServiceTime } from "../guard/service-time.ts";
import { UseList } from "../guard/use-list.ts";
import { OptionsError } from "../options/problems.ts";
import { assertShape, checkShape } from "../options/shape.ts";
import { LazyAbort } from "../time/abort.ts";
import { systemClock, type Clock, type Timer } from "../time/clock.ts";
import { timingWheelOf, type TimingWheel } from "../time/timing-wheel.ts";
import type { CallOwner } from "../time/pending-call.ts";
import { BatchItem } from "./item.ts";
import { batchCallShape, batchShape, type BatchCallOptions, type BatchOptions } from "./options.ts";

export type { BatchCallOptions, BatchOptions } from "./options.ts";

/** What a run learns about those it works for. */
export interface BatchCall {
  /** Aborts once all of its callers have given up. Made when first asked for. */
  readonly signal: AbortSignal;
  /** Instant by which the last of its callers has to have an answer, in ms of the clock; `Infinity` when there is none. */
  readonly deadline: number;
}

/** Numbers of a batch, since it was made. Of items, unless the text says otherwise. */
export interface BatchStats {
  /** What waits for a run, counted as `max` is. */
  readonly pending: number;
  readonly maxPending: number;
  /** In runs that have not ended. */
  readonly inUse: number;
  /** Runs that have begun. */
  readonly runs: number;
  /** That have begun to run: `started / runs` is the average of a run. */
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Refused because the queue was full. */
  readonly overloaded: number;
  /** Ran into their deadline, queued or running. */
  readonly timedOut: number;
  /** Size of the largest run so far. */
  readonly largest: number;
}

/** A function of one item whose calls are made together. */
export interface Batch<Item, Result> extends AsyncDisposable {
  /**
   * The result of one item.
   *
   * @throws {OVERLOADED} when too much waits.
   * @throws {DEADLINE_EXCEEDED} when time runs out, in the queue or later.
   * @throws {CALL_ABORTED} when the caller's signal aborts.
   * @throws {BATCH_RESULTS_INVALID} when `run` gave another number of results than it was given items.
   * @throws {RESOURCE_UNAVAILABLE} after {@link close}.
   */
  (item: Item, options?: BatchCallOptions): Promise<Result>;
  stats(): BatchStats;
  /** Waits until nothing runs or waits any more. */
  idle(): Promise<void>;
  /** Rejects everything that waits. What runs goes on. */
  rejectPending(error: Error): void;
  /** Accepts nothing more, and waits for what waits and runs. */
  close(): Promise<void>;
}

type Run<Item, Result> = (
  items: readonly Item[],
  call: BatchCall,
) => PromiseLike<readonly (Result | Error)[]> | readonly (Result | Error)[];

/**
 * Puts calls that wait together: `run` is handed all that waits whenever it is free, `max` at most. Results come in the
 * order of the items; an `Error` in a place fails that one caller alone.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { batch } from "@steward/core/batch";
 * const names = new Map([[1, "Ada"], [2, "Grace"]]);
 * let queries = 0;
 * const nameOf = batch((ids: readonly number[]) => {
 *   queries++; // such as: select id, name from users where id = any($1)
 *   return ids.map((id) => names.get(id) ?? new Error(`no user ${id}`));
 * });
 * console.log(await Promise.all([nameOf(1), nameOf(2)]), queries); // => [ 'Ada', 'Grace' ] 1
 * ```
 */
export function batch<Item, Result>(run: Run<Item, Result>, options?: BatchOptions<Item>): Batch<Item, Result> {
  if (typeof run !== "function")
    throw new OptionsError([{ resource: "batch", path: "run", message: "must be a function of a list of items" }]);
  const queue = new BatchQueue(run, options ?? {});
  const call = (item: Item, given?: BatchCallOptions): Promise<Result> => queue.call(item, given);
  return Object.assign(call, {
    stats: () => queue.stats(),
    idle: () => queue.idle(),
    rejectPending: (error: Error) => queue.rejectPending(error),
    close: () => queue.close(),
    [Symbol.asyncDispose]: () => queue.close(),
  });
}

const DEFAULTS = { name: "batch", max: 64, waitMs: 0, maxPending: 1_000, maxConcurrent: 1 };

class BatchQueue<Item, Result> implements CallOwner<BatchItem<Item, Result>> {
  readonly #run: Run<Item, Result>;
  readonly #options: BatchOptions<Item> & typeof DEFAULTS;
  readonly #clock: Clock;
  readonly #wheel: TimingWheel;
  readonly #queue = new UseList<BatchItem<Item, Result>>();
  /** Runs serve several callers, so they see the context that the batch was made in, and no deadline of one caller. */
  readonly #outside: (work: () => void) => void = AsyncLocalStorage.snapshot();
  readonly #runTime = new ServiceTime();
  readonly #counts = { runs: 0, started: 0, succeeded: 0, failed: 0, overloaded: 0, timedOut: 0, largest: 0 };
  #pending = 0;
  #inUse = 0;
  #running = 0;
  #turn: "none" | "asked" = "none";
  #window: Timer | undefined;
  #isClosed = false;
  #idleWaiters: (() => void)[] = [];

  constructor(run: Run<Item, Result>, options: BatchOptions<Item>) {
    this.#run = run;
    const checked = checkShape(options.name ?? "batch", batchShape, options as BatchOptions<never>); // its functions are not called
    this.#options = { ...DEFAULTS, ...(checked as BatchOptions<Item> & Partial<typeof DEFAULTS>) }; // the same options
    this.#clock = options.clock ?? systemClock;
    this.#wheel = timingWheelOf(this.#clock);
  }

  call(item: Item, given: BatchCallOptions | undefined): Promise<Result> {
    return new Promise((resolve, reject) => {
      const { name } = this.#options;
      if (given !== undefined) assertShape(name, batchCallShape, given);
      if (this.#isClosed) return reject(this.#closed());
      const of = { item, size: this.#sizeOf(item), key: this.#options.keyOf?.(item), since: this.#clock.now() };
      if (!this.#hasRoom(of.size)) return reject(this.#overload());
      this.#admit(new BatchItem(of, this, resolve, reject), given);
    });
  }

  get #isFull(): boolean {
    return this.#running >= this.#options.maxConcurrent;
  }

  /** What the next runs take at once does not wait. */
  #hasRoom(size: number): boolean {
    const { max, maxConcurrent, maxPending } = this.#options;
    const free = maxConcurrent - this.#running;
    return (free > 0 && this.#pending === 0) || this.#pending + size <= maxPending + free * max;
  }

  #sizeOf(item: Item): number {
    const size = this.#options.sizeOf?.(item) ?? 1;
    if (Number.isSafeInteger(size) && size >= 1) return size;
    const message = `must give a whole number, at least 1, and not ${size}`;
    throw new OptionsError([{ resource: this.#options.name, path: "sizeOf", message }]);
  }

  #admit(item: BatchItem<Item, Result>, given: BatchCallOptions | undefined): void {
    const context = currentContext();
    const timeoutMs = Math.min(
      given?.timeoutMs ?? Number.POSITIVE_INFINITY,
      this.#options.timeoutMs ?? Number.POSITIVE_INFINITY,
    );
    item.deadline = Math.min(item.since + timeoutMs, context?.deadline ?? Number.POSITIVE_INFINITY);
    item.queued = true;
    this.#queue.push(item);
    this.#pending += item.size;
    if (item.deadline <= item.since) return item.expire();
    if (item.deadline !== Number.POSITIVE_INFINITY) this.#wheel.add(item);
    const signal = given?.signal ?? context?.signal;
    if (signal !== undefined) item.follow(signal, this.#options.name);
    if (!item.settled) this.#wake();
  }

  /** A turn comes after all that runs now, promises included: callers that go on in this moment join the same run. */
  #wake(): void {
    if (this.#turn === "asked" || this.#isFull || this.#pending === 0) return;
    const { waitMs, max } = this.#options;
    if (waitMs > 0 && this.#pending < max && !this.#isClosed) {
      this.#window ??= this.#clock.setTimeout(() => this.#take(), waitMs);
      return;
    }
    this.#turn = "asked";
    queueMicrotask(() => process.nextTick(() => this.#take()));
  }

  #take(): void {
    this.#turn = "none";
    this.#window?.cancel();
    this.#window = undefined;
    while (!this.#isFull && this.#pending > 0) this.#outside(() => this.#begin(this.#next()));
  }

  /** The one that has waited longest, and those that may run with it. */
  #next(): readonly BatchItem<Item, Result>[] {
    const taken: BatchItem<Item, Result>[] = [];
    const { max } = this.#options;
    const key = this.#queue.first?.key;
    let size = 0;
    for (let item = this.#queue.first; item !== undefined && size < max;) {
      const { behind } = item;
      if (Object.is(item.key, key)) {
        if (taken.length > 0 && size + item.size > max) break; // nothing overtakes
        this.#dequeue(item);
        taken.push(item);
        size += item.size;
      }
      item = behind;
    }
    this.#counts.largest = Math.max(this.#counts.largest, size);
    return taken;
  }

  #begin(items: readonly BatchItem<Item, Result>[]): void {
    this.#running++;
    this.#counts.runs++;
    this.#counts.started += items.length;
    this.#inUse += items.length;
    const began = this.#clock.now();
    const work = new RunningBatch(items, this.#options.name);
    const ended = (): void => {
      this.#running--;
      this.#inUse -= items.length;
      this.#runTime.record(this.#clock.now() - began);
      this.#wake();
      this.#wakeIdle();
    };
    begun(() =>
      this.#run(
        items.map(({ item }) => item),
        work,
      ),
    ).then(
      (results) => {
        work.end();
        this.#answer(items, results);
        ended();
      },
      (error: unknown) => {
        work.end();
        for (const item of items) item.fail(error);
        ended();
      },
    );
  }

  #answer(items: readonly BatchItem<Item, Result>[], results: readonly (Result | Error)[]): void {
    const isList = Array.isArray(results);
    if (!isList || results.length !== items.length) {
      const error = this.#mismatch(items.length, isList ? `a list of ${results.length}` : `no list`);
      for (const item of items) item.fail(error);
      return;
    }
    for (const [at, item] of items.entries()) {
      const result = results[at] as Result | Error; // as many as items
      if (result instanceof Error) item.fail(result);
      else item.succeed(result);
    }
  }

  settled(item: BatchItem<Item, Result>, error: unknown): void {
    if (item.deadline !== Number.POSITIVE_INFINITY) this.#wheel.remove(item);
    if (item.queued) this.#dequeue(item);
    if (error === undefined) this.#counts.succeeded++;
    else this.#counts.failed++;
    this.#wakeIdle();
  }

  #dequeue(item: BatchItem<Item, Result>): void {
    item.queued = false;
    this.#queue.remove(item);
    this.#pending -= item.size;
    if (this.#pending > 0 || this.#window === undefined) return;
    this.#window.cancel();
    this.#window = undefined;
  }

  rejectPending(error: Error): void {
    for (let item = this.#queue.first; item !== undefined; item = this.#queue.first) item.fail(error);
  }

  idle(): Promise<void> {
    if (this.#pending === 0 && this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    if (this.#window !== undefined) this.#take();
    return this.idle();
  }

  #wakeIdle(): void {
    if (this.#idleWaiters.length === 0 || this.#pending > 0 || this.#running > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  stats(): BatchStats {
    const { maxPending } = this.#options;
    return Object.freeze({ pending: this.#pending, maxPending, inUse: this.#inUse, ...this.#counts });
  }

  timeout(item: BatchItem<Item, Result>): StewardError {
    this.#counts.timedOut++;
    const { name: resource } = this.#options;
    const where = item.queued ? "still queued" : "no answer";
    const message = `${resource}: ${where} after ${Math.round(this.#clock.now() - item.since)} ms (${this.#numbers()})`;
    return new StewardError("DEADLINE_EXCEEDED", message, { resource, retryable: item.queued });
  }

  #overload(): StewardError {
    this.#counts.overloaded++;
    const { name: resource, max, maxConcurrent } = this.#options;
    const usualMs = this.#runTime.usualMs;
    const runs = Math.max(1, Math.ceil(this.#pending / max / maxConcurrent));
    const message = `${resource}: the queue is full (${this.#numbers()}); raise maxPending, or send less at once`;
    const retryAfterMs = usualMs === 0 ? undefined : Math.ceil(usualMs * runs);
    return new StewardError("OVERLOADED", message, { resource, retryable: true, retryAfterMs });
  }

  #numbers(): string {
    return `in use ${this.#inUse}, pending ${this.#pending} of ${this.#options.maxPending}`;
  }

  #closed(): StewardError {
    const { name: resource } = this.#options;
    return new StewardError("RESOURCE_UNAVAILABLE", `${resource}: stopped`, { resource });
  }

  #mismatch(wanted: number, got: string): StewardError {
    const { name: resource } = this.#options;
    const message = `${resource}: run was given ${wanted} items and gave ${got}; it has to give one result for each, in their order`;
    return new StewardError("BATCH_RESULTS_INVALID", message, { resource });
  }
}

/** One run, and whether any caller still waits for it. */
class RunningBatch<Item, Result> implements BatchCall {
  readonly deadline: number;
  readonly #items: readonly BatchItem<Item, Result>[];
  readonly #abort = new LazyAbort();

  constructor(items: readonly BatchItem<Item, Result>[], resource: string) {
    this.#items = items;
    this.deadline = items.reduce((latest, { deadline }) => Math.max(latest, deadline), Number.NEGATIVE_INFINITY);
    let waiting = items.length;
    const reason = (): StewardError =>
      new StewardError("CALL_ABORTED", `${resource}: all callers of this run gave up`, { resource });
    const onGivenUp = (): void => {
      waiting--;
      if (waiting === 0) this.#abort.abort(reason);
    };
    for (const item of items) item.onGivenUp = onGivenUp;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Answers are no reason to abort. */
  end(): void {
    for (const item of this.#items) item.onGivenUp = undefined;
  }
}

/** A run that throws is one that rejects. */
function begun<T>(work: () => PromiseLike<T> | T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}
