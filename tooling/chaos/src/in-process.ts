import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Runs the worker as a process of its own, and gives all that it sends. */
export async function inProcess(args: readonly string[]): Promise<unknown[]> {
  const sent: unknown[] = [];
  const child = fork(join(import.meta.dirname, "worker.js"), args, { execArgv: ["--expose-gc"] });
  child.on("message", (message) => sent.push(message));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  return sent;
}
