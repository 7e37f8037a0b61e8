import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArmName, ArmSettings, Backend, Client } from "./driver.ts";
import { httpClient } from "./http-clients.ts";

/** An HTTP server in a process of its own. */
export class HttpBackend implements Backend {
  readonly #folder = mkdtempSync(join(tmpdir(), "steward-chaos-"));
  readonly #log = join(this.#folder, "writes");
  readonly #killAtExit = (): void => void this.#child?.kill("SIGKILL");
  #child: ChildProcess | undefined;
  #port = 0;

  static async launch(): Promise<HttpBackend> {
    const backend = new HttpBackend();
    writeFileSync(backend.#log, "");
    process.once("exit", backend.#killAtExit);
    await backend.restart();
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async restart(): Promise<void> {
    const program = join(import.meta.dirname, "http-program.js");
    this.#child = fork(program, [String(this.#port), this.#log], { execArgv: [] });
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

  connect(arm: ArmName, url: string, settings: ArmSettings): Promise<Client> {
    return httpClient(arm, url, settings);
  }

  async executions(prefix: string): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const id of readFileSync(this.#log, "utf8").split("\n"))
      if (id.startsWith(prefix)) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }
}
