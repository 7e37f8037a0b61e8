import { AsyncLocalStorage } from "node:async_hooks";

/** Runs work beyond the deadline and the signal of any request. */
export const outside: <T>(work: () => T) => T = AsyncLocalStorage.snapshot();
