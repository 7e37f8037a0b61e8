import { spawn, type ChildProcess } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { join } from "node:path";
import { home } from "../harness/process.ts";

/** A program of ours in a process of its own, that is asked in lines and answers in lines. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #iterator: AsyncIterator<string>;

  constructor(module: string, args: readonly string[]) {
    this.#process = spawn(
      process.execPath,
      ["--expose-gc", "--no-warnings", join(home, "dist/websocket", module), ...args],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    if (this.#process.stdout === null) throw new Error("a child without output");
    this.#lines = createInterface({ input: this.#process.stdout });
    this.#iterator = this.#lines[Symbol.asyncIterator]();
  }

  /** The next line that it says. */
  async line(): Promise<string> {
    const { value, done } = await this.#iterator.next();
    if (done === true) throw new Error("the child ended early");
    return value;
  }

  /** Asks for figures. */
  async ask<T = number>(command: string): Promise<Readonly<Record<string, T>>> {
    this.#process.stdin?.write(`${command}\n`);
    return JSON.parse(await this.line());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.stdin?.end();
    await ended;
  }
}
