import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { home } from "../harness/process.ts";

/** The server, in a process of its own. */
export async function startServer(): Promise<{ readonly port: number } & AsyncDisposable> {
  const child = spawn(process.execPath, [join(home, "dist/grpc/server.js")], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return {
    port: Number(line),
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      child.stdin.end();
      await ended;
    },
  };
}
