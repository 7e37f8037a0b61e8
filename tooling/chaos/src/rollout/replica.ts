import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endsWithDrill } from "./children.ts";

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program in a process of its own. */
export class Program implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  /** What it said, stderr included. */
  said = "";

  constructor(file: string, env: Readonly<Record<string, string>>, args: readonly string[] = []) {
    this.#child = endsWithDrill(
      spawn(process.execPath, [file, ...args], {
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    this.ended = new Promise((resolve) => this.#child.once("close", (code, signal) => resolve({ code, signal })));
  }

  /** Waits for words, and fails when the process ends without having said them. */
  async says(pattern: RegExp): Promise<void> {
    const gone = this.ended.then(() => true);
    while (!pattern.test(this.said)) {
      const over = await Promise.race([gone, new Promise<false>((resolve) => setTimeout(resolve, 20, false))]);
      if (over && !pattern.test(this.said))
        throw new Error(`it ended without saying ${String(pattern)}:\n${this.said}`);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal and gives how long it lived on, in ms. */
  async endAfter(signal: NodeJS.Signals): Promise<number> {
    const since = performance.now();
    this.kill(signal);
    await this.ended;
    return performance.now() - since;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ended;
  }
}

type Env = Readonly<Record<string, string>>;

/** Where the programs of Clips are, of whichever version. */
export type App = (file: string) => string;

/** The Clips of a package that is installed, or of a checkout that is built. */
export function appOf(place: string): App {
  return (file) =>
    place.startsWith("/")
      ? join(place, "apps/reference/dist", file)
      : fileURLToPath(import.meta.resolve(`${place}/dist/${file}`));
}

/** Where it runs: `runMain` detects Kubernetes by its variable. */
export type Setting = "kubernetes" | "elsewhere";

/** The settings of production. */
export function production(setting: Setting): Env {
  return { LOG_LEVEL: "error", ...(setting === "kubernetes" ? { KUBERNETES_SERVICE_HOST: "10.0.0.1" } : {}) };
}

/** Clips, on one port. */
export async function startClips(app: App, port: number, env: Env): Promise<Program> {
  const own = { HOST: "127.0.0.1", PORT: String(port) };
  return started(new Program(app("main.js"), { ...env, ...own }), /Ctrl-C stops everything/);
}

/** A renderer in a process of its own, on one port. */
export async function startRenderer(app: App, port: number, env: Env): Promise<Program> {
  return started(new Program(app("renderer/main.js"), { ...env, RENDERER_PORT: String(port) }), /renderer listens/);
}

async function started(program: Program, words: RegExp): Promise<Program> {
  await program.says(words);
  return program;
}
