import { fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** Runs the worker as a process of its own, and gives all that it sends. */
export async function inProcess(args: readonly string[]): Promise<unknown[]> {
  const sent: unknown[] = [];
  const child = fork(join(import.meta.dirname, "worker.js"), args, {
    execArgv: ["--expose-gc"],
    serialization: "advanced", // JSON makes null of Infinity
  });
  child.on("message", (message) => sent.push(message));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  return sent;
}

/** Does something for each, as many at once as there are cores: more would only measure the machine. */
export async function sideBySide<T, Result>(all: readonly T[], one: (of: T) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = all.entries();
  const lane = async (): Promise<void> => {
    for (const [i, of] of waiting) results[i] = await one(of);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return results;
}
