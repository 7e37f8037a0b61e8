import { Guard, StewardError, type Call, type Clock, type Timer } from "@steward/core";
import { backoffMs, type GuardBasis } from "@steward/core/container";
import { startWorker, type WorkerHandle, type WorkerMethods } from "@steward/core/worker";
import type { WorkerPoolOptions } from "./options.ts";

/** What one call of a pool may ask for. */
export interface PoolCallOptions {
  /** Gives the call up. Default: that of the request. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of this call, in ms from now. The smallest of call, pool and request context counts. */
  readonly timeoutMs?: number | undefined;
}

type ArgumentOf<M> = M extends (...given: infer P) => unknown ? (P extends readonly [] ? undefined : P[0]) : never;
type ResultOf<M> = M extends (...given: never) => infer R ? Awaited<R> : never;
type Given<A> = undefined extends A
  ? [argument?: A, options?: PoolCallOptions]
  : [argument: A, options?: PoolCallOptions];

/** Workers that wait for work. */
export interface WorkerPool<M extends WorkerMethods = WorkerMethods> {
  /**
   * Calls a method on a worker that is free, as soon as there is one.
   *
   * @throws {OVERLOADED} when all work and the queue is full.
   * @throws {DEADLINE_EXCEEDED} when time runs out.
   * @throws {CALL_ABORTED} when the caller's signal aborts.
   * @throws {WORKER_ENDED} when the worker ends before it answers.
   * @throws {WORKER_MESSAGE_REFUSED} when the argument or the result cannot be sent, or there is no such method.
   * @throws {RESOURCE_UNAVAILABLE} when it is not ready, or no worker is up.
   */
  run<K extends keyof M & string>(method: K, ...given: Given<ArgumentOf<M[K]>>): Promise<ResultOf<M[K]>>;
}

/** Pauses before a worker that ended is replaced, in ms: they grow while workers end soon after their start. */
const PAUSES = { minMs: 100, maxMs: 5_000 };
/** A worker that lived longer than this has not ended because of its start. */
const LIVED_MS = 10_000;

type Worker = WorkerHandle<WorkerMethods>;

/** The workers, and who gets the next free one. */
export class Workers {
  readonly guard: Guard;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #options: WorkerPoolOptions;
  readonly #size: number;
  readonly #up = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #waiting: ((worker: Worker | undefined) => void)[] = [];
  readonly #timers = new Set<Timer>();
  #failures = 0;
  /** Ends the starts that are under way; another one each time that it is opened. */
  #opened = new AbortController();
  replaced = 0;

  constructor(basis: GuardBasis, options: WorkerPoolOptions, size: number) {
    this.#name = basis.resource;
    this.#clock = basis.clock;
    this.#options = options;
    this.#size = size;
    const { maxPending, timeoutMs = 30_000 } = options;
    // A call that was given up keeps its place: its worker is still at work.
    this.guard = new Guard({ ...basis, maxConcurrent: size, maxPending, timeoutMs, holdUntilSettled: true });
  }

  /** Workers that are up. */
  get size(): number {
    return this.#up.size;
  }

  async open(signal: AbortSignal): Promise<void> {
    const opened = (this.#opened = new AbortController());
    this.#failures = 0;
    const giveUp = (): void => opened.abort(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    // Waits for all: a thread that is cut off while it reads its modules leaves them open.
    const starts = await Promise.allSettled(Array.from({ length: this.#size }, () => this.#start(opened.signal)));
    signal.removeEventListener("abort", giveUp);
    const failed = starts.find(({ status }) => status === "rejected");
    if (failed?.status !== "rejected") return;
    await this.close(signal); // those that did start
    throw failed.reason;
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#opened.abort();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const wake of this.#waiting.splice(0)) wake(undefined);
    const all = [...this.#up];
    this.#up.clear(); // one that is still at work must not be handed out after the next start
    this.#idle.length = 0;
    const kill = (): void => all.forEach((worker) => worker.kill());
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    try {
      await Promise.all(all.map((worker) => worker.close()));
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  run(method: string, argument: unknown, options: PoolCallOptions | undefined): Promise<unknown> {
    return this.guard.run((call) => this.#work(call, method, argument), { ...options, operation: method });
  }

  async #work(call: Call, method: string, argument: unknown): Promise<unknown> {
    const worker = this.#idle.pop() ?? (await this.#nextFree(call.signal));
    const kill = (): void => worker.kill();
    if (this.#options.interruptible === true) call.signal.addEventListener("abort", kill, { once: true });
    try {
      return await worker.call(method, argument as never, { cancel: call.signal }); // the types of `run` have checked it
    } finally {
      if (this.#up.has(worker)) this.#free(worker);
    }
  }

  /** All that are up have work: one of the others is being replaced. */
  async #nextFree(signal: AbortSignal): Promise<Worker> {
    const none = (): StewardError =>
      new StewardError("RESOURCE_UNAVAILABLE", `${this.#name}: no worker is up`, {
        resource: this.#name,
        retryable: true,
      });
    if (this.#up.size === 0) throw none();
    const worker = await new Promise<Worker | undefined>((resolve) => {
      this.#waiting.push(resolve);
      signal.addEventListener("abort", () => this.#forget(resolve), { once: true });
    });
    if (worker === undefined) throw none();
    return worker;
  }

  /** A caller who has given up gets no worker. */
  #forget(wake: (worker: Worker | undefined) => void): void {
    const at = this.#waiting.indexOf(wake);
    if (at >= 0) this.#waiting.splice(at, 1);
    wake(undefined);
  }

  #free(worker: Worker): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(worker);
    else next(worker);
  }

  async #start(opened: AbortSignal): Promise<void> {
    const { module, isolation, data, interruptible, maxHeapMb } = this.#options;
    const settings = { name: this.#name, isolation, data, interruptible, maxHeapMb, signal: opened };
    const worker = await startWorker(module, settings);
    if (opened.aborted) return worker.close();
    const since = this.#clock.now();
    this.#up.add(worker);
    this.#free(worker);
    void worker.ended.then(() => this.#ended(worker, since, opened));
  }

  #ended(worker: Worker, since: number, opened: AbortSignal): void {
    this.#up.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    if (opened.aborted) return;
    this.replaced++;
    this.#failures = this.#clock.now() - since > LIVED_MS ? 0 : this.#failures + 1;
    this.#replaceLater(opened);
  }

  #replaceLater(opened: AbortSignal): void {
    const pauseMs = this.#failures <= 1 ? 0 : backoffMs(this.#failures - 2, PAUSES, "equal");
    const timer = this.#clock.setTimeout(
      () => {
        this.#timers.delete(timer);
        void this.#start(opened).catch(() => {
          if (opened.aborted) return;
          this.#failures++;
          this.#replaceLater(opened);
        });
      },
      pauseMs,
      { unref: true },
    );
    this.#timers.add(timer);
  }
}
