import type { Transferable } from "node:worker_threads";
import { currentContext } from "../context.ts";
import { describeError, StewardError } from "../errors.ts";
import { OptionsError } from "../options/problems.ts";
import { assertShape, checkShape } from "../options/shape.ts";
import { systemClock, type Clock, type Timer } from "../time/clock.ts";
import { timingWheelOf, type TimingWheel } from "../time/timing-wheel.ts";
import { WorkerCall } from "./call.ts";
import { receivedError, type FromWorker, type SentError } from "./messages.ts";
import {
  workerCallShape,
  workerCloseShape,
  workerShape,
  type WorkerCallOptions,
  type WorkerCloseOptions,
  type WorkerOptions,
} from "./options.ts";
import type { WorkerMethods } from "./serve.ts";
import { processTransport, threadTransport, type Transport, type WorkerEnd } from "./transport.ts";

type ArgumentOf<M> = M extends (...given: infer P) => unknown ? (P extends readonly [] ? undefined : P[0]) : never;
type ResultOf<M> = M extends (...given: never) => infer R ? Awaited<R> : never;
type Given<A> = undefined extends A
  ? [argument?: A, options?: WorkerCallOptions]
  : [argument: A, options?: WorkerCallOptions];

/** Numbers of a worker. */
export interface WorkerStats {
  /** Calls that it works on, those included whose callers have given up. */
  readonly inUse: number;
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly timedOut: number;
}

/** A worker that runs. */
export interface WorkerHandle<M extends WorkerMethods> extends AsyncDisposable {
  readonly name: string;
  /** Process id; `undefined` of a thread. */
  readonly pid: number | undefined;
  /** How it ended. It never rejects. */
  readonly ended: Promise<WorkerEnd>;
  /**
   * Calls a method.
   *
   * @throws {WORKER_ENDED} when the worker ends before it answers.
   * @throws {WORKER_MESSAGE_REFUSED} when the argument or the result cannot be sent, or there is no such method.
   * @throws {DEADLINE_EXCEEDED} when time runs out.
   * @throws {CALL_ABORTED} when the caller's signal aborts.
   * @throws {RESOURCE_UNAVAILABLE} when it is closed.
   */
  call<K extends keyof M & string>(method: K, ...given: Given<ArgumentOf<M[K]>>): Promise<ResultOf<M[K]>>;
  stats(): WorkerStats;
  /**
   * Accepts nothing more, waits for what runs, and ends the worker; by force once time is over, unless it is a thread at
   * work that must not be cut off: that one ends after its call.
   *
   * @throws {STOP_TIMEOUT} when time is over and it still works.
   */
  close(options?: WorkerCloseOptions): Promise<void>;
  /** Ends it now: what it works on fails with `WORKER_ENDED`. A thread that must not be cut off ends after its call. */
  kill(): void;
}

/**
 * Starts a worker from a module that calls `serveWorker`, and waits until it is ready. It keeps this process alive
 * only while it works on a call.
 *
 * @param module URL of the module: `new URL("./work.js", import.meta.url)`.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {WORKER_START_FAILED} when the module fails, or ends before it is ready.
 * @throws {START_TIMEOUT} when it is not ready in time.
 * @throws {START_ABORTED} when the signal aborts.
 */
export async function startWorker<M extends WorkerMethods = WorkerMethods>(
  module: URL,
  options?: WorkerOptions,
): Promise<WorkerHandle<M>> {
  const checked: WorkerOptions = checkShape(options?.name ?? "worker", workerShape, options);
  if (!(module instanceof URL))
    throw new OptionsError([
      {
        resource: checked.name ?? "worker",
        path: "module",
        message: "must be a URL, such as new URL('./work.js', import.meta.url)",
      },
    ]);
  const worker = new RunningWorker<M>(module, checked);
  await worker.ready;
  return worker;
}

const CLOSE_MS = 5_000;
const START_MS = 15_000;

class RunningWorker<M extends WorkerMethods> implements WorkerHandle<M> {
  readonly name: string;
  readonly ready: Promise<void>;
  readonly ended: Promise<WorkerEnd>;
  readonly #clock: Clock;
  readonly #wheel: TimingWheel;
  readonly #transport: Transport;
  readonly #calls = new Map<number, WorkerCall>();
  readonly #counts = { started: 0, succeeded: 0, failed: 0, timedOut: 0 };
  #phase: "starting" | "ready" | "closing" | "ended" = "starting";
  #end: WorkerEnd | undefined;
  #onReady: (error?: unknown) => void = () => {};
  #onEnd: (end: WorkerEnd) => void = () => {};
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(module: URL, options: WorkerOptions) {
    this.name = options.name ?? "worker";
    this.#clock = options.clock ?? systemClock;
    this.#wheel = timingWheelOf(this.#clock);
    this.ended = new Promise((resolve) => (this.#onEnd = resolve));
    const open = options.isolation === "process" ? processTransport : threadTransport;
    this.#transport = this.#opened(() =>
      open(module, options, { message: (message) => this.#receive(message), ended: (end) => this.#over(end) }),
    );
    this.ready = this.#awaitStart(options);
  }

  get pid(): number | undefined {
    return this.#transport.pid;
  }

  #opened(open: () => Transport): Transport {
    try {
      return open();
    } catch (cause) {
      throw this.#startFailed(describeError(cause), cause);
    }
  }

  #awaitStart({ startTimeoutMs = START_MS, signal }: WorkerOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown): void => {
        timer.cancel();
        signal?.removeEventListener("abort", abort);
        if (error === undefined) return resolve();
        this.kill();
        reject(error);
      };
      const { name: resource } = this;
      const abort = (): void =>
        settle(new StewardError("START_ABORTED", `${resource}: start given up`, { resource, cause: signal?.reason }));
      const late = `${resource}: not ready within ${startTimeoutMs} ms`;
      const timer: Timer = this.#clock.setTimeout(
        () => settle(new StewardError("START_TIMEOUT", late, { resource, retryable: true })),
        startTimeoutMs,
      );
      signal?.addEventListener("abort", abort, { once: true });
      this.#onReady = settle;
      if (signal?.aborted === true) abort();
    });
  }

  call<K extends keyof M & string>(method: K, ...[argument, given]: Given<ArgumentOf<M[K]>>): Promise<ResultOf<M[K]>> {
    return new Promise((resolve, reject) => {
      if (given !== undefined) assertShape(this.name, workerCallShape, given);
      if (this.#phase !== "ready") return reject(this.#refusal());
      const call = new WorkerCall(
        ++this.#counts.started,
        this.#clock.now(),
        this.#owner,
        resolve as (value: unknown) => void,
        reject,
      ); // the method gives it
      this.#bound(call, given);
      if (!call.settled) this.#send(call, method, argument, given?.transfer ?? []);
    });
  }

  readonly #owner = {
    settled: (call: WorkerCall, error: unknown): void => {
      if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.remove(call);
      if (error === undefined) this.#counts.succeeded++;
      else this.#counts.failed++;
      this.#cancel(call);
    },
    timeout: (call: WorkerCall): StewardError => {
      this.#counts.timedOut++;
      const { name: resource } = this;
      const message = `${resource}: no answer after ${Math.round(this.#clock.now() - call.since)} ms (in use ${this.#calls.size})`;
      return new StewardError("DEADLINE_EXCEEDED", message, { resource });
    },
  };

  #cancel({ id }: WorkerCall): void {
    if (this.#calls.has(id) && this.#phase !== "ended") this.#transport.send({ kind: "cancel", id }, []);
  }

  #bound(call: WorkerCall, given: WorkerCallOptions | undefined): void {
    if (given?.cancel !== undefined) return call.pass(given.cancel, () => this.#cancel(call));
    const context = currentContext();
    call.deadline = Math.min(
      call.since + (given?.timeoutMs ?? Number.POSITIVE_INFINITY),
      context?.deadline ?? Number.POSITIVE_INFINITY,
    );
    if (call.deadline <= call.since) return call.expire();
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#wheel.add(call);
    const signal = given?.signal ?? context?.signal;
    if (signal !== undefined) call.follow(signal, this.name);
  }

  #send(call: WorkerCall, method: string, args: unknown, transfer: readonly Transferable[]): void {
    try {
      this.#transport.send({ kind: "call", id: call.id, method, args }, transfer);
    } catch (cause) {
      const { name: resource } = this;
      const message = `${resource}: the argument of ${method} cannot be sent: ${describeError(cause)}`;
      return call.fail(new StewardError("WORKER_MESSAGE_REFUSED", message, { resource, cause }));
    }
    this.#calls.set(call.id, call);
    if (this.#calls.size === 1) this.#transport.hold(true);
  }

  #receive(message: FromWorker): void {
    if (message.kind === "ready") return this.#begun();
    if (message.kind === "failed") return this.#failed(message.error);
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.kind === "value") call?.succeed(message.value);
    else call?.fail(receivedError(message.error));
    if (this.#calls.size > 0) return;
    if (this.#phase === "ready") this.#transport.hold(false);
    this.#onIdle?.();
  }

  #begun(): void {
    if (this.#phase !== "starting") return;
    this.#phase = "ready";
    this.#transport.hold(false);
    this.#onReady();
  }

  #failed(sent: SentError): void {
    const cause = receivedError(sent);
    this.#onReady(this.#startFailed(describeError(cause), cause));
  }

  #startFailed(why: string, cause: unknown): StewardError {
    const { name: resource } = this;
    return new StewardError("WORKER_START_FAILED", `${resource}: the worker could not be started: ${why}`, {
      resource,
      cause,
    });
  }

  #over(end: WorkerEnd): void {
    if (this.#phase === "starting") this.#onReady(this.#startFailed(`${endText(end)} before it was ready`, end.error));
    this.#phase = "ended";
    this.#end = end;
    this.#onEnd(Object.freeze(end)); // before its calls fail: who hands out workers has to hear of it first
    this.#failAll(end);
    this.#onIdle?.();
  }

  #failAll(end: WorkerEnd): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    const { name: resource } = this;
    for (const call of calls) {
      const message = `${resource}: ${endText(end)} with ${calls.length} calls in it`;
      call.fail(new StewardError("WORKER_ENDED", message, { resource, retryable: true, cause: end.error }));
    }
  }

  #refusal(): StewardError {
    const { name: resource } = this;
    const why = this.#end === undefined ? "the worker is closed" : endText(this.#end);
    return new StewardError("RESOURCE_UNAVAILABLE", `${resource}: ${why}`, { resource });
  }

  stats(): WorkerStats {
    return Object.freeze({ inUse: this.#calls.size, ...this.#counts });
  }

  close(options?: WorkerCloseOptions): Promise<void> {
    const { timeoutMs = CLOSE_MS } = checkShape(this.name, workerCloseShape, options);
    return (this.#closing ??= this.#close(timeoutMs));
  }

  async #close(timeoutMs: number): Promise<void> {
    if (this.#phase === "ended") return;
    this.#phase = "closing";
    this.#transport.hold(true);
    const late = Symbol("late");
    let timer: Timer | undefined;
    const time = new Promise<symbol>((resolve) => (timer = this.#clock.setTimeout(() => resolve(late), timeoutMs)));
    const ending = this.#idle().then(() => {
      if (this.#end === undefined) this.#transport.send({ kind: "close" }, []);
      return this.ended;
    });
    const first = await Promise.race([ending, time]);
    timer?.cancel();
    if (first === late) await this.#force(timeoutMs);
  }

  async #force(timeoutMs: number): Promise<void> {
    if (this.#transport.kill()) return void (await this.ended);
    this.#transport.send({ kind: "close" }, []);
    const { name: resource } = this;
    const message = `${resource}: still at work after ${timeoutMs} ms; native code is not cut off, the thread ends after it`;
    throw new StewardError("STOP_TIMEOUT", message, { resource });
  }

  #idle(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#onIdle = resolve));
  }

  kill(): void {
    if (this.#phase === "ended") return;
    this.#phase = "closing";
    this.#transport.hold(true); // until it has ended, which is soon
    if (this.#transport.kill()) return;
    this.#failAll({ code: undefined, signal: undefined, error: undefined });
    this.#transport.send({ kind: "close" }, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function endText({ code, signal, error }: WorkerEnd): string {
  const how =
    signal === undefined ? (code === undefined ? "was given up" : `ended with code ${code}`) : `was ended by ${signal}`;
  return `the worker ${how}${error === undefined ? "" : `: ${describeError(error)}`}`;
}
