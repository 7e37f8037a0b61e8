import { isMainThread } from "node:worker_threads";
import { line } from "../../line.ts";

if (isMainThread) throw new Error("a network is for workers alone");

/** The network of the tests, as a module of a trainer. */
export const network = line;
