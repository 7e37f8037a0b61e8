import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { StewardError } from "@steward/core";
import { inPackage } from "../folders.ts";

/** Variables of a process. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** What a replica is started with. */
export interface ReplicaPlan {
  /** Says which one it is, in front of each of its lines. */
  readonly name: string;
  readonly env: Variables;
  readonly say: (line: string) => void;
}

/** One Clips in a process of its own. It ends with the process that has started it, in whatever way that ends. */
export class Replica {
  /** Resolves when it has ended. */
  readonly ended: Promise<string>;
  readonly #name: string;
  readonly #child: ChildProcess;

  constructor({ name, env, say }: ReplicaPlan) {
    this.#name = name;
    // In a group of its own, so that a Ctrl-C reaches it in its turn, from us.
    this.#child = fork(inPackage("dist/main.js"), [], {
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      createInterface({ input: stream as Readable }).on("line", (line) => say(`${name} | ${line}`)); // both are pipes
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(error.message));
      this.#child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits until it is ready. @throws when it ends before. */
  async ready(signal: AbortSignal): Promise<void> {
    const ended = this.ended.then((how) => {
      throw new StewardError(
        "RESOURCE_UNAVAILABLE",
        `${this.#name} ended before it was ready (${how}); its lines say why`,
      );
    });
    await Promise.race([once(this.#child, "message", { signal }), ended]);
  }

  /** Ends it at once but in order: no one sends it requests any more. When `signal` aborts, or has, it is killed. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#child.kill("SIGINT");
    const kill = (): void => void this.#child.kill("SIGKILL");
    if (signal.aborted) kill();
    signal.addEventListener("abort", kill, { once: true });
    await this.ended;
    signal.removeEventListener("abort", kill);
  }
}
