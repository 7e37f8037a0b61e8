import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isStewardError } from "@steward/core";
import { startedAt } from "../../src/process/process-table.ts";

/** The program `owner.ts` as a child process in a process group of its own. */
export class Owner {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [fileURLToPath(new URL("owner.js", import.meta.url)), ...args], {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    if (this.child.stdout === null) throw new Error("no stdout");
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the owner ended without a word");
    return value;
  }

  /** What the program says of its server. */
  async server(): Promise<{ readonly pid: number; readonly url: string; readonly shared: boolean }> {
    return JSON.parse(await this.line());
  }

  /** Sends a signal to the program alone and waits for its end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await once(this.child, "exit");
  }

  /** Lets the program stop its server and end. */
  async stop(): Promise<void> {
    this.child.send("stop");
    await once(this.child, "disconnect");
    await this.kill();
  }

  /** What a terminal does at Ctrl-C. */
  interruptGroup(): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, "SIGINT");
  }
}

/** Waits until no such process lives. */
export async function gone(pid: number): Promise<void> {
  while ((await startedAt(pid)) !== undefined) await sleep(5);
}

/** The message of the error that `promise` is refused with, which has to have `code`. */
export async function refused(promise: Promise<unknown>, code: string): Promise<string> {
  const outcome: unknown = await promise.then(
    () => "it succeeded",
    (error: unknown) => error,
  );
  if (!isStewardError(outcome, code)) throw new Error(`expected ${code}`, { cause: outcome });
  return outcome.message;
}
