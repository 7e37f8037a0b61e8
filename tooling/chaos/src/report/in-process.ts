import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Runs one of our programs as a process of its own, and gives all that it sends. */
export async function inProcess(program: string, args: readonly string[]): Promise<unknown[]> {
  const sent: unknown[] = [];
  const child = fork(join(import.meta.dirname, "..", program), args);
  child.on("message", (message) => sent.push(message));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}`);
  return sent;
}
