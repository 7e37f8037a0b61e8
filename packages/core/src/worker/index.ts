export type { WorkerCallOptions, WorkerCloseOptions, WorkerOptions } from "./options.ts";
export { serveWorker, type ServedCall, type ServedWorker, type WorkerMethods } from "./serve.ts";
export type { WorkerEnd } from "./transport.ts";
export { startWorker, type WorkerHandle, type WorkerStats } from "./worker.ts";
