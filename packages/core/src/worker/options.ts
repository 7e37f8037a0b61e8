import type { Transferable } from "node:worker_threads";
import type { Clock } from "../time/clock.ts";
import {
  anything,
  flag,
  listOf,
  milliseconds,
  oneOf,
  recordOf,
  signal,
  text,
  wholeNumber,
  withMethods,
} from "../options/rules.ts";
import { shape, type Shape } from "../options/shape.ts";

/** How a worker is started. */
export interface WorkerOptions {
  /** What errors call it. Default `worker`. */
  readonly name?: string | undefined;
  /**
   * `thread`: a thread of this process, which shares memory with it. `process`: a process of its own, whose crash costs this
   * one nothing, and which can be ended at any moment. Default `thread`.
   */
  readonly isolation?: "thread" | "process" | undefined;
  /** What `serveWorker` of the module is handed. A thread shares what is a SharedArrayBuffer; a process gets copies. Default nothing. */
  readonly data?: unknown;
  /** What of `data` moves to a thread and is gone here. Default nothing. */
  readonly transfer?: readonly Transferable[] | undefined;
  /**
   * True where its methods may be cut off anywhere, as those in JavaScript alone. Default `false`: a thread that works on a
   * call is never ended before it has answered, not even by `process.exit()`, because native code that is cut off ends the
   * whole process.
   */
  readonly interruptible?: boolean | undefined;
  /** Longest start until `serveWorker` is ready, in ms. Default 15,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Gives the start up. */
  readonly signal?: AbortSignal | undefined;
  /** Bound of the heap of JavaScript, in MB. Default: that of Node. */
  readonly maxHeapMb?: number | undefined;
  /** Environment variables that differ from those here. Default none. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

/** What one call may ask for. */
export interface WorkerCallOptions {
  /** What of the argument moves to a thread and is gone here. A process gets copies. Default nothing. */
  readonly transfer?: readonly Transferable[] | undefined;
  /** Gives the call up when it aborts; the method sees that in its own signal. Default: that of the request. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of this call, in ms from now. The smaller of call and request context counts. Default none. */
  readonly timeoutMs?: number | undefined;
  /**
   * Aborts the signal of the method alone: the call settles when the worker has answered, so that its caller knows how long
   * the worker is at work. With it neither `signal` nor `timeoutMs` nor the request context ends the call. Default none.
   */
  readonly cancel?: AbortSignal | undefined;
}

/** How a worker is closed. */
export interface WorkerCloseOptions {
  /** Longest wait for its calls and its own end, in ms. Default 5,000. */
  readonly timeoutMs?: number | undefined;
}

/** What the options of a worker must be. */
export const workerShape: Shape<WorkerOptions> = /* @__PURE__ */ shape<WorkerOptions>(() => ({
  name: text(),
  isolation: oneOf("thread", "process"),
  data: anything(),
  transfer: listOf(anything()),
  interruptible: flag(),
  startTimeoutMs: milliseconds(),
  signal: signal(),
  maxHeapMb: wholeNumber(8),
  env: recordOf(text(true)),
  clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
}));

/** What the options of a call must be. */
export const workerCallShape: Shape<WorkerCallOptions> = /* @__PURE__ */ shape<WorkerCallOptions>(() => ({
  transfer: listOf(anything()),
  signal: signal(),
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
  cancel: signal(),
}));

/** What the options of a close must be. */
export const workerCloseShape: Shape<WorkerCloseOptions> = /* @__PURE__ */ shape<WorkerCloseOptions>(() => ({
  timeoutMs: milliseconds(0),
}));
