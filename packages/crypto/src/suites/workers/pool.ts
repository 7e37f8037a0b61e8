import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import { cryptoError, notAuthentic } from "../../errors.ts";
import { asBuffer } from "../encoding/bytes.ts";
import type { AlgorithmName } from "../catalog.ts";

/** A message to be sealed or opened in another thread. The bytes of `input` move there and are gone here. */
export interface WorkerTask {
  readonly operation: "seal" | "open";
  readonly algorithm: AlgorithmName;
  readonly key: KeyObject;
  readonly header: Uint8Array;
  readonly input: Uint8Array;
  readonly aad: Uint8Array;
}

/** What a worker answers. `output` is missing when the message does not authenticate. */
export interface WorkerAnswer {
  readonly id: number;
  readonly output: Uint8Array | undefined;
}

interface Waiting {
  readonly resolve: (output: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

/** Threads for large buffers that the caller gives away. Started when first needed, ended by {@link stop}. */
export class WorkerPool {
  readonly #max: number;
  readonly #threads: Thread[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Threads that run. */
  get size(): number {
    return this.#threads.length;
  }

  run(task: WorkerTask): Promise<Buffer> {
    return this.#thread().run(task);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.stop()));
  }

  #thread(): Thread {
    const [quietest] = [...this.#threads].sort((a, b) => a.busy - b.busy);
    if (quietest !== undefined && (quietest.busy === 0 || this.#threads.length >= this.#max)) return quietest;
    const thread = new Thread(() => {
      const at = this.#threads.indexOf(thread);
      if (at >= 0) this.#threads.splice(at, 1);
    });
    this.#threads.push(thread);
    return thread;
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;

  constructor(onEnd: () => void) {
    this.#worker = new Worker(new URL(import.meta.resolve("#hashing-thread")));
    this.#worker.unref();
    this.#worker.on("message", (answer: WorkerAnswer) => this.#answer(answer));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => {
      onEnd();
      this.#fail(new Error("the thread ended"));
    });
  }

  get busy(): number {
    return this.#waiting.size;
  }

  run(task: WorkerTask): Promise<Buffer> {
    const id = (this.#count += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      // Only memory that the caller owns alone can move; a slice of shared memory is copied.
      const whole = task.input.byteLength === task.input.buffer.byteLength && task.input.buffer instanceof ArrayBuffer;
      this.#worker.postMessage({ id, ...task }, whole ? [task.input.buffer as ArrayBuffer] : []); // checked one line above
    });
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #answer({ id, output }: WorkerAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (output === undefined) waiting?.reject(notAuthentic());
    else waiting?.resolve(asBuffer(output));
  }

  #fail(cause: unknown): void {
    const error = cryptoError("CRYPTO_UNSUPPORTED", "the thread that worked on a large message ended", {
      cause,
      retryable: true,
    });
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
