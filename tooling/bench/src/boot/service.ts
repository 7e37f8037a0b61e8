import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "@steward/harness";

const PATIENCE_MS = 120_000;
const POLL_MS = 10;

/** Runs `npm start` until the first 200 of `/readyz`, then ends it, and gives the ms in between. */
export async function bootMs(folder: string): Promise<number> {
  const [port = 0] = await freePorts(1);
  const { DATABASE_URL: _database, REDIS_URL: _redis, ...env } = process.env;
  const began = performance.now();
  const child = spawn("npm", ["start"], {
    cwd: folder,
    env: { ...env, PORT: String(port) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  const exited = once(child, "exit");
  try {
    while (!(await isReady(port))) {
      if (child.exitCode !== null)
        throw new Error(`npm start ended with exit code ${child.exitCode}:\n${said.slice(-2_000)}`);
      if (performance.now() - began > PATIENCE_MS)
        throw new Error(`not ready within ${PATIENCE_MS} ms:\n${said.slice(-2_000)}`);
      await sleep(POLL_MS);
    }
    return performance.now() - began;
  } finally {
    if (child.exitCode === null) child.kill("SIGTERM");
    await Promise.race([exited, sleep(30_000, undefined, { ref: false }).then(() => child.kill("SIGKILL"))]);
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    const { status } = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1_000) });
    return status === 200;
  } catch {
    return false;
  }
}
