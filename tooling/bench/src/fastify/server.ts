import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Child, output } from "@steward/harness";
import { home } from "../home.ts";
import type { Form } from "./contender.ts";

/** A contender that runs, and says how much CPU it has used. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  /** CPU used so far, in us. */
  cpuUs(): Promise<number>;
}

/** Starts one of our contenders, by a program that knows it. */
export async function startNode(
  node: string,
  name: string,
  form: Form,
  program: string = join(import.meta.dirname, "serve.js"),
): Promise<Server> {
  const child = new Child({ node }, program, [name, form]);
  return {
    port: Number(await child.line()),
    async cpuUs() {
      const { us = NaN, open } = await child.ask("cpu");
      if (open !== 0) throw new Error(`${name}: ${open} sessions are still open`);
      return us;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

const PYTHONS = ["/usr/bin/python3", "python3"];
const TICKS_PER_SECOND = 100;
const VERSIONS =
  "import uvicorn, fastapi, sys; print(f'FastAPI {fastapi.__version__}, uvicorn {uvicorn.__version__}, Python {sys.version.split()[0]}')";

/** Starts FastAPI under uvicorn, where a Python has both; Linux only. */
export async function startFastApi(port: number): Promise<(Server & { readonly version: string }) | undefined> {
  for (const python of PYTHONS) {
    const version = await output(python, ["-c", VERSIONS]).catch(() => undefined);
    if (version === undefined) continue;
    const child = spawn(python, ["-m", "uvicorn", "fastapi_app:app", "--host", "127.0.0.1", "--port", String(port)], {
      cwd: join(home, "src/fastify"),
      stdio: "ignore",
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    });
    await answers(port, child);
    const stop = async (): Promise<void> => void child.kill();
    return { version: version.trim(), port, cpuUs: async () => cpuOf(child.pid ?? 0), [Symbol.asyncDispose]: stop };
  }
  return undefined;
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  for (let i = 0; i < 200 && child.exitCode === null; i++) {
    const up = await fetch(`http://127.0.0.1:${port}/openapi.json`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("uvicorn does not answer");
}

function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND;
}
