import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { signedIn } from "@steward/auth/testing";
import type { RunningContainer } from "@steward/container";
import type { FastifyServer } from "@steward/fastify";
import { clips } from "../../src/clips.ts";
import { inPackage } from "../../src/folders.ts";
import { server } from "../../src/server/server.ts";
import { environment } from "../../src/settings.ts";
import type { Role } from "../../src/users/access.ts";
import { auth } from "../../src/users/auth.ts";
import { users } from "../../src/users/users.ts";

/** Starts take as long as their users', less what some versions of Node lose in one library. */
const quickImports = import.meta.resolve("tap/quick-imports");

/** A folder that goes when the test ends. */
export class Folder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Folder> {
    const folder = new Folder(await mkdtemp(join(tmpdir(), "clips-")));
    await mkdir(folder.temporary);
    return folder;
  }

  get temporary(): string {
    return join(this.path, "tmp");
  }

  /** Variables for a Clips that shall keep everything in here. */
  get env(): Readonly<Record<string, string>> {
    return { DATA_DIR: this.path, TMPDIR: this.temporary };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

/** Wraps the keys of every Clips in this process, so that all of them can share a database. */
const KEK = Buffer.alloc(32, "clips").toString("base64");

/** Clips in this process. */
export class LocalClips implements AsyncDisposable {
  readonly running: RunningContainer;
  readonly server: FastifyServer;

  private constructor(running: RunningContainer) {
    this.running = running;
    this.server = running.get(server);
  }

  static async start(env: Readonly<Record<string, string>>, of: typeof clips = clips): Promise<LocalClips> {
    const all = { PORT: "0", LOG_LEVEL: "silent", CLIPS_KEK: KEK, ...env };
    const running = await of.start([environment.is(all)]);
    return new LocalClips(running);
  }

  get url(): string {
    return this.server.url;
  }

  /** Headers of a new user with that role, who has no password. */
  async as(role: Role): Promise<{ readonly authorization: string }> {
    const added = await this.running.get(users).add(`t-${randomUUID()}`, "", [role]);
    return signedIn(this.running.get(auth), { subject: added?.id ?? "", scopes: ["*"] });
  }

  /** Headers of an administrator. */
  get admin(): Promise<{ readonly authorization: string }> {
    return (this.#admin ??= this.as("admin"));
  }

  #admin: Promise<{ readonly authorization: string }> | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running.stop();
  }
}

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Clips, or another program of it, in a process and a process group of its own, as a shell starts it. */
export class ClipsProcess implements AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  output = "";
  errors = "";

  constructor(env: Readonly<Record<string, string>>, program = "dist/main.js", args: readonly string[] = []) {
    // The loader of the test runner would slow it down, and servers of the outside are not meant here.
    const { NODE_OPTIONS: _loader, DATABASE_URL: _database, REDIS_URL: _redis, ...outer } = process.env;
    const child = spawn(process.execPath, [`--import=${quickImports}`, inPackage(program), ...args], {
      env: { ...outer, PORT: "0", ...env },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#said((this.output += text)));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#said((this.errors += text)));
    this.ended = new Promise((resolve) =>
      child.once("close", (code, signal) => (resolve({ code, signal }), this.#said(""))),
    );
  }

  #said(_text: string): void {
    for (const wake of this.#waiting) wake();
  }

  /** Waits for words on stdout. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`it ended without saying ${String(pattern)}:\n${this.output}${this.errors}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Waits until it is up, and gives its URL. */
  async ready(): Promise<string> {
    await this.says(/Ctrl-C stops everything/);
    const [, url] = /(http:\/\/\S+)\/ /.exec(this.output) ?? [];
    if (url === undefined) throw new Error(`it named no URL:\n${this.output}`);
    return url;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** As a terminal does at Ctrl-C: to the whole group. */
  ctrlC(): void {
    process.kill(-this.pid, "SIGINT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.kill("SIGKILL");
    await this.ended;
  }
}

/** The server processes that a process has started; Linux tells, elsewhere none are found. */
export async function serversOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Processes of a list that are alive; one that nobody has collected yet is not. */
export async function alive(pids: readonly number[]): Promise<number[]> {
  const states = await Promise.all(
    pids.map(async (pid) => ({ pid, stat: await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined) })),
  );
  return states.flatMap(({ pid, stat }) => (stat === undefined || /\) Z /.test(stat) ? [] : [pid]));
}

/** What processes have left in the folder for temporary files that we gave them. */
export function leftovers({ temporary }: Folder): Promise<string[]> {
  return readdir(temporary);
}

/** Asks again until the answer is yes, for at most a minute: a bound for a test that fails, not an expectation. */
export async function eventually(ask: () => Promise<boolean>): Promise<boolean> {
  for (const until = Date.now() + 60_000; Date.now() < until; await sleep(50)) if (await ask()) return true;
  return false;
}
