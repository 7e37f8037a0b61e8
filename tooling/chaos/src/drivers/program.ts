import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend, Connect } from "./driver.ts";

/** A server of ours in a process of its own, which writes the ids of its writes into a file before it answers. */
export class ProgramBackend implements Backend {
  readonly connect: Connect;
  readonly #folder = mkdtempSync(join(tmpdir(), "steward-chaos-"));
  readonly #log = join(this.#folder, "writes");
  readonly #kind: string;
  readonly #scheme: string;
  readonly #killAtExit = (): void => void this.#child?.kill("SIGKILL");
  #child: ChildProcess | undefined;
  #port = 0;

  private constructor(kind: string, scheme: string, connect: Connect) {
    this.#kind = kind;
    this.#scheme = scheme;
    this.connect = connect;
  }

  /** @param kind of the program: `http`, `websocket` or `grpc`. */
  static async launch(kind: string, scheme: string, connect: Connect): Promise<ProgramBackend> {
    const backend = new ProgramBackend(kind, scheme, connect);
    writeFileSync(backend.#log, "");
    process.once("exit", backend.#killAtExit);
    await backend.restart();
    return backend;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}`;
  }

  async restart(): Promise<void> {
    const args = [this.#kind, String(this.#port), this.#log];
    this.#child = fork(join(import.meta.dirname, "server-program.js"), args, { execArgv: [] });
    const [port] = (await once(this.#child, "message")) as [number]; // what the program sends
    this.#port = port;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async pause(): Promise<void> {
    this.#child?.kill("SIGSTOP");
  }

  async resume(): Promise<void> {
    this.#child?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    process.removeListener("exit", this.#killAtExit);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async executions(prefix: string): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const id of readFileSync(this.#log, "utf8").split("\n"))
      if (id.startsWith(prefix)) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }
}
