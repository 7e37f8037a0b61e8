import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker as Thread, type Transferable } from "node:worker_threads";
import { isFromWorker, type FromWorker, type ToWorker } from "./messages.ts";
import type { WorkerOptions } from "./options.ts";

/** How a worker ended. */
export interface WorkerEnd {
  /** Exit code; `undefined` where a signal ended it. */
  readonly code: number | undefined;
  /** Signal that ended a process, such as `SIGKILL`. */
  readonly signal: string | undefined;
  /** What it threw where no call could report it. */
  readonly error: unknown;
}

/** What listens to a worker. */
export interface TransportListener {
  message(message: FromWorker): void;
  ended(end: WorkerEnd): void;
}

/** What carries messages to a worker and back. */
export interface Transport {
  /** Process id; `undefined` of a thread. */
  readonly pid: number | undefined;
  send(message: ToWorker, transfer: readonly Transferable[]): void;
  /** Whether it keeps this process alive. */
  hold(isHeld: boolean): void;
  /** Ends it now; `false` where it works on a call that must not be cut off. */
  kill(): boolean;
}

/** Where a thread notes whether it is at work, so that `process.exit()` can wait for it: see {@link holdExit}. */
export const STATE = { idle: 0, working: 1, closed: 2 } as const;

/** What a thread is started with. */
export interface ThreadStart {
  readonly steward: "worker";
  readonly data: unknown;
  /** Absent where its calls may be cut off. */
  readonly state: Int32Array | undefined;
}

/** What a process is started with, so that it knows what it is. */
export const PROCESS_MARK = "STEWARD_WORKER";

/** Longest that an exit of the process waits for a native call, in ms. */
const EXIT_WAIT_MS = 10_000;

export function threadTransport(module: URL, options: WorkerOptions, listener: TransportListener): Transport {
  const { data, transfer = [], interruptible = false, maxHeapMb, env } = options;
  const state = interruptible ? undefined : new Int32Array(new SharedArrayBuffer(4));
  const workerData: ThreadStart = { steward: "worker", data, state };
  const thread = new Thread(module, {
    workerData,
    transferList: [...transfer],
    ...threadArgv(),
    ...(maxHeapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } }),
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
  });
  const release = state === undefined ? () => {} : holdExit(state);
  let failure: unknown;
  thread.on("message", (message: unknown) => isFromWorker(message) && listener.message(message));
  thread.on("error", (error) => (failure = error));
  thread.on("exit", (code) => {
    release();
    listener.ended({ code, signal: undefined, error: failure });
  });
  return {
    pid: undefined,
    send: (message, list) => thread.postMessage(message, attached(list)),
    hold: (isHeld) => (isHeld ? thread.ref() : thread.unref()),
    kill() {
      const now = state === undefined ? STATE.idle : Atomics.compareExchange(state, 0, STATE.idle, STATE.closed);
      if (now === STATE.working) return false;
      void thread.terminate();
      return true;
    },
  };
}

/**
 * What is moved to another thread. Node 20 moves a buffer that has moved already, and what arrives cannot be read: no
 * answer would come. Later ones refuse it, as a slice of it refuses here.
 */
export function attached(list: readonly Transferable[]): Transferable[] {
  for (const each of list) if (each instanceof ArrayBuffer && each.byteLength === 0) each.slice(0);
  return [...list];
}

const threads = new Set<Int32Array>();
let isWatchingExit = false;

/**
 * Node ends its threads at an exit, and a thread that is cut off in native code aborts the process (exit code 134). So
 * the exit waits until the thread has answered; from then on it begins nothing.
 */
function holdExit(state: Int32Array): () => void {
  threads.add(state);
  if (!isWatchingExit) process.on("exit", awaitThreads);
  isWatchingExit = true;
  return () => void threads.delete(state);
}

function awaitThreads(): void {
  const until = Date.now() + EXIT_WAIT_MS;
  for (const state of threads) {
    if (Atomics.compareExchange(state, 0, STATE.idle, STATE.closed) !== STATE.working) continue;
    Atomics.wait(state, 0, STATE.working, Math.max(0, until - Date.now()));
    Atomics.compareExchange(state, 0, STATE.idle, STATE.closed);
  }
}

export function processTransport(module: URL, options: WorkerOptions, listener: TransportListener): Transport {
  const { data, maxHeapMb, env } = options;
  const child = fork(fileURLToPath(module), [], {
    serialization: "advanced",
    env: { ...process.env, ...env, [PROCESS_MARK]: "1" },
    execArgv: [...execArgv(), ...(maxHeapMb === undefined ? [] : [`--max-old-space-size=${maxHeapMb}`])],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  let failure: unknown;
  let isOver = false;
  const over = (code: number | null, signal: string | null): void => {
    if (isOver) return;
    isOver = true;
    listener.ended({ code: code ?? undefined, signal: signal ?? undefined, error: failure });
  };
  child.on("message", (message: unknown) => isFromWorker(message) && listener.message(message));
  child.on("error", (error) => {
    failure = error;
    if (child.pid === undefined) over(null, null); // it never ran, so no exit comes
  });
  child.on("exit", over);
  try {
    sendTo(child, { kind: "start", data });
  } catch (error) {
    child.kill("SIGKILL"); // it would wait for its data, and keep this process alive
    throw error;
  }
  return {
    pid: child.pid,
    send: (message) => sendTo(child, message),
    hold(isHeld) {
      if (isHeld) child.ref();
      else child.unref();
      if (isHeld) child.channel?.ref();
      else child.channel?.unref();
    },
    kill() {
      child.kill("SIGKILL");
      return true;
    },
  };
}

/** A process that has gone says so by its exit; what could not be sent to it needs no words of its own. */
function sendTo(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => {});
}

const KEPT =
  /^--(conditions|enable-source-maps|experimental-|expose-gc|max-|no-warnings|disable-warning|preserve-symlinks)/;
const OF_PROCESS = /^--(max-|expose-gc)/;

/** Flags of the language go along; a debugger's port is taken already, and `-e` or a test runner's hooks are not for it. */
function execArgv(): string[] {
  return process.execArgv.filter((flag) => KEPT.test(flag));
}

/** A thread has the flags of its process, but for the type of a program that came as text. */
function threadArgv(): { readonly execArgv?: string[] } {
  if (!process.execArgv.some((flag) => flag.startsWith("--input-type"))) return {};
  return { execArgv: execArgv().filter((flag) => !OF_PROCESS.test(flag)) };
}
