export { workerPool, WorkerPoolManager, type WorkerPoolSettings } from "./workers/manager.ts";
export type { WorkerPoolOptions } from "./workers/options.ts";
export type { PoolCallOptions, WorkerPool } from "./workers/pool.ts";
