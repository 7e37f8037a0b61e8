import {
  anything,
  flag,
  milliseconds,
  oneOf,
  recognised,
  required,
  ruleSchema,
  shape,
  wholeNumber,
  type OptionsSchema,
  type Shape,
} from "@steward/core/driver";

/** What runs in a pool of workers, and how many of them. */
export interface WorkerPoolOptions {
  /** URL of the module, which calls `serveWorker` of `@steward/core/worker`: `new URL("./work.js", import.meta.url)`. */
  readonly module: URL;
  /** How many workers; each has one call at a time. Default: as many as the machine has cores for this process. */
  readonly size?: number | undefined;
  /** `thread`: threads of this process. `process`: processes, whose crash costs this one nothing. Default `thread`. */
  readonly isolation?: "thread" | "process" | undefined;
  /** What `serveWorker` of each is handed. Default nothing. */
  readonly data?: unknown;
  /** Calls that may wait for a worker; one more is refused with `OVERLOADED`. Default: ten for each worker, at most 1,000. */
  readonly maxPending?: number | undefined;
  /** Longest call, time in the queue included, in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * True where the methods may be cut off anywhere, as those in JavaScript alone: a call that is given up then ends its
   * worker, which is replaced. Default `false`: the worker is free again when the call has really ended.
   */
  readonly interruptible?: boolean | undefined;
  /** Bound of the heap of each worker, in MB. Default: that of Node. */
  readonly maxHeapMb?: number | undefined;
}

const poolShape: Shape<WorkerPoolOptions> = /* @__PURE__ */ shape<WorkerPoolOptions>(() => ({
  module: required(recognised((value) => value instanceof URL, "a URL, such as new URL('./work.js', import.meta.url)")),
  size: wholeNumber(1, 1_024),
  isolation: oneOf("thread", "process"),
  data: anything(),
  maxPending: wholeNumber(0),
  timeoutMs: milliseconds(),
  interruptible: flag(),
  maxHeapMb: wholeNumber(8),
}));

/** What the options of a pool of workers must be. */
export const poolSchema: OptionsSchema<WorkerPoolOptions> = /* @__PURE__ */ ruleSchema<WorkerPoolOptions>(poolShape);
