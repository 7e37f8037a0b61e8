import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { home, type NodeBinary } from "../harness/process.ts";
import type { Form } from "./contender.ts";

/** A contender that runs and tells the CPU it has used. */
export interface Server {
  readonly port: number;
  /** CPU used so far, in us. */
  cpuUs(): Promise<number>;
  stop(): void;
}

/** Starts one of our contenders. */
export async function startNode(node: NodeBinary, name: string, form: Form): Promise<Server> {
  const child = spawn(node.path, [join(home, "dist/fastify/serve.js"), name, form], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const port = Number(await nextLine(lines));
  return {
    port,
    async cpuUs() {
      child.stdin.write("cpu\n");
      const { us, open } = JSON.parse(await nextLine(lines)) as { us: number; open: number }; // serve.ts prints it
      if (open !== 0) throw new Error(`${name}: ${open} sessions are still open`);
      return us;
    },
    stop: () => void child.kill(),
  };
}

function nextLine(lines: Interface): Promise<string> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error("the server has ended"));
    lines.once("close", ended);
    lines.once("line", (line) => {
      lines.off("close", ended);
      resolve(line);
    });
  });
}

const PYTHONS = ["/usr/bin/python3", "python3"];
const TICKS_PER_SECOND = 100;

/** Starts FastAPI under uvicorn, where the distribution has both; Linux only. */
export async function startFastApi(): Promise<(Server & { readonly version: string }) | undefined> {
  for (const python of PYTHONS) {
    const version = await versionOf(python);
    if (version === undefined) continue;
    const port = await freePort();
    const folder = join(home, "src/fastify");
    const child = spawn(python, ["-m", "uvicorn", "fastapi_app:app", "--host", "127.0.0.1", "--port", String(port)], {
      cwd: folder,
      stdio: "ignore",
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    });
    await answers(port, child);
    return { version, port, cpuUs: async () => cpuOf(child.pid ?? 0), stop: () => void child.kill() };
  }
  return undefined;
}

function versionOf(python: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(
      python,
      [
        "-c",
        "import uvicorn, fastapi, sys; print(f'FastAPI {fastapi.__version__}, uvicorn {uvicorn.__version__}, Python {sys.version.split()[0]}')",
      ],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", () => resolve(undefined));
    child.on("close", (code) => resolve(code === 0 ? text.trim() : undefined));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
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
