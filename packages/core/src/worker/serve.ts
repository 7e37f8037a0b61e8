import { isMainThread, parentPort, workerData, type Transferable } from "node:worker_threads";
import { StewardError } from "../errors.ts";
import { LazyAbort } from "../time/abort.ts";
import { sentError, type FromWorker, type ToWorker } from "./messages.ts";
import { attached, PROCESS_MARK, STATE, type ThreadStart } from "./transport.ts";

/** What a method learns about its call. */
export interface ServedCall {
  /** Aborts when the caller has given up. Made when first asked for. */
  readonly signal: AbortSignal;
  /** Moves what the result holds to the caller instead of a copy, where the worker is a thread. */
  transfer(...list: readonly Transferable[]): void;
}

/** Methods by name: each takes one argument. */
export type WorkerMethods = Readonly<Record<string, (argument: never, call: ServedCall) => unknown>>;

/** What the start of a worker learns about it. */
export interface ServedWorker {
  /** Called when the worker is closed, after its last call. */
  onClose(release: () => unknown): void;
}

/**
 * Serves methods in the module of a worker: what `startWorker` calls.
 *
 * @param start is handed the `data` of `startWorker`, and gives the methods.
 * @throws {LIFECYCLE_CONFLICT} in a program that `startWorker` did not start.
 */
export function serveWorker<Data, M extends WorkerMethods>(
  start: (data: Data, worker: ServedWorker) => M | Promise<M>,
): void {
  const served = new Served(portHere());
  served.begin(start as (data: never, worker: ServedWorker) => M | Promise<M>); // data is what startWorker was given
}

/** The end of the connection that a worker holds. */
interface Port {
  readonly state: Int32Array | undefined;
  send(message: FromWorker, transfer: readonly Transferable[]): void;
  listen(on: (message: ToWorker) => void): void;
  /** Lets go, so that the worker ends when nothing else runs. */
  close(): void;
}

function portHere(): Port {
  if (!isMainThread && parentPort !== null && isThreadStart(workerData)) return threadPort(parentPort, workerData);
  if (isMainThread && process.env[PROCESS_MARK] !== undefined && process.send !== undefined) return processPort();
  throw new StewardError("LIFECYCLE_CONFLICT", "serveWorker: this module is for startWorker; do not import or run it");
}

function isThreadStart(data: unknown): data is ThreadStart {
  return typeof data === "object" && data !== null && "steward" in data && data.steward === "worker";
}

function threadPort(port: NonNullable<typeof parentPort>, { data, state }: ThreadStart): Port {
  return {
    state,
    send: (message, transfer) => port.postMessage(message, attached(transfer)),
    listen(on) {
      port.on("message", on);
      on({ kind: "start", data });
    },
    close: () => port.close(),
  };
}

function processPort(): Port {
  delete process.env[PROCESS_MARK]; // not for what it starts itself
  // A signal of a terminal reaches the whole group; the process that started this one decides, and its end ends this one.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  const onDisconnect = (): never => process.exit();
  process.on("disconnect", onDisconnect);
  return {
    state: undefined,
    send: (message) => void process.send?.(message),
    listen: (on) => void process.on("message", (message) => on(message as ToWorker)), // of startWorker
    close() {
      process.off("disconnect", onDisconnect);
      process.disconnect?.();
    },
  };
}

class Served {
  readonly #port: Port;
  readonly #calls = new Map<number, LazyAbort>();
  readonly #onClose: (() => unknown)[] = [];
  #methods: WorkerMethods = {};
  #atWork = 0;
  #isClosing = false;

  constructor(port: Port) {
    this.#port = port;
  }

  begin(start: (data: never, worker: ServedWorker) => WorkerMethods | Promise<WorkerMethods>): void {
    this.#port.listen((message) => {
      if (message.kind === "start") void this.#start(() => start(message.data as never, this.#self)); // what startWorker was given
      else if (message.kind === "call") void this.#call(message.id, message.method, message.args);
      else if (message.kind === "cancel") this.#calls.get(message.id)?.abort(() => gone());
      else this.#close();
    });
  }

  readonly #self: ServedWorker = { onClose: (release) => void this.#onClose.push(release) };

  async #start(start: () => WorkerMethods | Promise<WorkerMethods>): Promise<void> {
    this.#enter();
    try {
      this.#methods = await start();
      this.#port.send({ kind: "ready" }, []);
    } catch (error) {
      this.#port.send({ kind: "failed", error: sentError(error) }, []);
      this.#isClosing = true;
    }
    this.#leave();
  }

  async #call(id: number, name: string, argument: unknown): Promise<void> {
    if (!this.#enter()) return; // the process exits
    const abort = new LazyAbort();
    this.#calls.set(id, abort);
    const moved: Transferable[] = [];
    const call: ServedCall = {
      get signal() {
        return abort.signal;
      },
      transfer: (...list) => void moved.push(...list),
    };
    try {
      const value = await this.#method(name)(argument as never, call); // the types of startWorker's caller
      this.#answer({ kind: "value", id, value }, moved);
    } catch (error) {
      this.#port.send({ kind: "error", id, error: sentError(error) }, []);
    }
    this.#calls.delete(id);
    this.#leave();
  }

  #method(name: string): (argument: never, call: ServedCall) => unknown {
    const method = Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined;
    if (method !== undefined) return method;
    throw new StewardError(
      "WORKER_MESSAGE_REFUSED",
      `the worker has no method "${name}": ${Object.keys(this.#methods).join(", ")}`,
    );
  }

  #answer(message: FromWorker, moved: readonly Transferable[]): void {
    try {
      this.#port.send(message, moved);
    } catch (cause) {
      throw new StewardError("WORKER_MESSAGE_REFUSED", "a result cannot be sent to another thread or process", {
        cause,
      });
    }
  }

  /** Notes that this thread is at work, so that an exit waits; `false` once the exit has begun. */
  #enter(): boolean {
    const { state } = this.#port;
    if (
      this.#atWork === 0 &&
      state !== undefined &&
      Atomics.compareExchange(state, 0, STATE.idle, STATE.working) === STATE.closed
    )
      return false;
    this.#atWork++;
    return true;
  }

  #leave(): void {
    this.#atWork--;
    if (this.#atWork > 0) return;
    const { state } = this.#port;
    if (state !== undefined) {
      Atomics.store(state, 0, STATE.idle);
      Atomics.notify(state, 0);
    }
    if (this.#isClosing) void this.#release();
  }

  #close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#atWork === 0) void this.#release();
  }

  async #release(): Promise<void> {
    for (const release of this.#onClose.splice(0).reverse())
      await Promise.resolve()
        .then(release)
        .catch(() => {}); // it ends in any case
    this.#port.close();
  }
}

function gone(): StewardError {
  return new StewardError("CALL_ABORTED", "the caller gave up");
}
