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
};

/** What it serves, for the type of the pool. */
export type PoolMethods = typeof methods;

serveWorker(() => methods);
