import { spawn, type ChildProcess } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { serverEnvironment } from "./programs.ts";
import { childrenOf, isAlive, sendSignal, startedAt, type ProcessIdentity } from "./process-table.ts";

/** How a server process ended. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What to run, and where its words go. */
export interface ServerCommand {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly logFile: string;
}

/** A stop signal, and how long to wait for its effect, in ms. */
export type EndStep = readonly [signal: NodeJS.Signals, waitMs: number];

const LOG_TAIL_LINES = 12;
const POLL_MS = 2;

/**
 * A running server program. It has its own session, so the Ctrl-C of a terminal does not reach it, writes to a log
 * file, so it never fills a pipe, and does not keep our event loop alive.
 */
export class ServerProcess {
  readonly pid: number;
  /** Resolves when the process has ended; never rejects. */
  readonly ended: Promise<ServerExit>;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  #exit: ServerExit | undefined;
  #frozen: number[] = [];

  private constructor(child: ChildProcess, pid: number, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.pid = pid;
    this.ended = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    child.unref();
  }

  /** @throws {SERVER_START_FAILED} the program cannot be run. */
  static async spawn({ command, cwd, logFile }: ServerCommand): Promise<ServerProcess> {
    const [program = "", ...args] = command;
    const log = await open(logFile, "w", 0o600);
    try {
      const child = spawn(program, args, {
        cwd,
        detached: true,
        env: serverEnvironment(),
        stdio: ["ignore", log.fd, log.fd],
        windowsHide: true,
      });
      const failed = new Promise<Error>((resolve) => child.once("error", resolve));
      if (child.pid !== undefined) return new ServerProcess(child, child.pid, logFile);
      throw new StewardError("SERVER_START_FAILED", `${program} cannot be run: ${(await failed).message}`);
    } finally {
      await log.close();
    }
  }

  /** How it ended, while it runs `undefined`. */
  get exit(): ServerExit | undefined {
    return this.#exit;
  }

  /** The last lines the server wrote. */
  async logTail(): Promise<string> {
    const text = await readFile(this.#logFile, "utf8").catch(() => "");
    return text.trim().split("\n").slice(-LOG_TAIL_LINES).join("\n");
  }

  /** Stops the process and its children in their tracks. */
  async freeze(): Promise<void> {
    if (this.#exit !== undefined) return;
    sendSignal(this.pid, "SIGSTOP");
    // The parent is stopped first, so it forks no further child meanwhile.
    const children = await childrenOf(this.pid);
    for (const child of children) sendSignal(child, "SIGSTOP");
    this.#frozen = [...children, this.pid];
  }

  /** Lets a frozen process go on. */
  thaw(): void {
    for (const pid of this.#frozen.splice(0)) sendSignal(pid, "SIGCONT");
  }

  /**
   * Sends one signal after the other until the process has ended.
   *
   * @throws {SERVER_STOP_TIMEOUT} it outlived them all.
   */
  async end(steps: readonly EndStep[]): Promise<void> {
    this.#child.ref();
    try {
      for (const [signal, waitMs] of steps) {
        if (this.#exit !== undefined) return;
        const children = signal === "SIGKILL" ? await this.#killChildren() : [];
        sendSignal(this.pid, signal);
        this.thaw();
        if (await this.#endsWithin(waitMs)) return await gone(children, waitMs);
      }
    } finally {
      this.#child.unref();
    }
    const signals = steps.map(([signal]) => signal).join(", ");
    throw new StewardError("SERVER_STOP_TIMEOUT", `process ${this.pid} is still alive after ${signals}`);
  }

  /** The children of a killed server would go on answering until they notice. */
  async #killChildren(): Promise<ProcessIdentity[]> {
    await this.freeze();
    const children = this.#frozen.filter((pid) => pid !== this.pid);
    const identities = await Promise.all(
      children.map(async (pid) => ({ pid, startedAt: (await startedAt(pid)) ?? "unknown" })),
    );
    for (const pid of children) sendSignal(pid, "SIGKILL");
    return identities;
  }

  async #endsWithin(waitMs: number): Promise<boolean> {
    const over = new AbortController();
    const timeout = sleep(waitMs, false, { signal: over.signal }).catch(() => false);
    const done = await Promise.race([this.ended.then(() => true), timeout]);
    over.abort();
    return done;
  }
}

/** Waits until none of these processes is left. */
async function gone(processes: readonly ProcessIdentity[], waitMs: number): Promise<void> {
  const since = performance.now();
  while ((await Promise.all(processes.map(isAlive))).includes(true)) {
    if (performance.now() - since > waitMs)
      throw new StewardError("SERVER_STOP_TIMEOUT", `children of the killed server are alive after ${waitMs} ms`);
    await sleep(POLL_MS);
  }
}
