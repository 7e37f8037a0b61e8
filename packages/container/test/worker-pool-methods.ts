import { serveWorker } from "@steward/core/worker";

const methods = {
  square: (n: number): number => n * n,
  /** Blocks its thread. */
  block(ms: number): string {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    return "done";
  },
  spin(): never {
    for (;;);
  },
  exit: (): never => process.exit(3),
  exitAfter(ms: number): never {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    process.exit(3);
  },
};

/** What it serves, for the type of the pool. */
export type PoolMethods = typeof methods;

/** Which start fails, and which waits until `state[1]` is set. */
export interface PoolStarts {
  /** How many there were; whether the one that waits may go on; whether that one was closed. */
  readonly state: Int32Array;
  readonly fails?: number;
  readonly waits?: number;
}

serveWorker((starts: PoolStarts | undefined, worker) => {
  if (starts === undefined) return methods;
  const start = Atomics.add(starts.state, 0, 1);
  if (start === starts.fails) throw new Error("this one fails");
  if (start === starts.waits) {
    Atomics.wait(starts.state, 1, 0);
    worker.onClose(() => Atomics.store(starts.state, 2, 1));
  }
  return methods;
});
