import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";

/** The repository. */
export const root: string = join(import.meta.dirname, "../../..");

/** Runs a program to its end and gives its standard output. Its failure carries what it said. */
export function output(command: string, args: readonly string[], cwd: string = root): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")} failed: ${`${stdout}\n${stderr}`.trim().slice(-2_000)}`));
    });
  });
}

/** What a process of a measurement runs on. */
export interface Place {
  /** The program `node`. */
  readonly node: string;
  /** The checkout that `@steward/*` is taken from; default: this one. */
  readonly checkout?: string | undefined;
  readonly flags?: readonly string[];
}

function argsOf({ checkout, flags = [] }: Place, script: string, args: readonly string[]): string[] {
  const from = checkout === undefined ? [] : ["--import", `${import.meta.resolve("./checkout.js")}?${checkout}`];
  return ["--expose-gc", "--no-warnings", ...flags, ...from, script, ...args];
}

/** Runs a script as a process of its own and gives the JSON that it printed last. */
export async function measureIn(place: Place, script: string, args: readonly string[]): Promise<unknown> {
  const text = await output(place.node, argsOf(place, script, args));
  return JSON.parse(text.trim().split("\n").at(-1) ?? "null");
}

/** A script in a process of its own, that is asked in lines and answers in lines; it ends with its input. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #iterator: AsyncIterator<string>;

  constructor(place: Place, script: string, args: readonly string[] = []) {
    this.#process = spawn(place.node, argsOf(place, script, args), { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#process.stdout === null) throw new Error("a child without output");
    this.#lines = createInterface({ input: this.#process.stdout });
    this.#iterator = this.#lines[Symbol.asyncIterator]();
  }

  /** The next line that it says. */
  async line(): Promise<string> {
    const { value, done } = await this.#iterator.next();
    if (done === true) throw new Error("the process ended early");
    return value;
  }

  /** Asks for figures. */
  async ask<T = number>(command: string): Promise<Readonly<Record<string, T>>> {
    this.#process.stdin?.write(`${command}\n`);
    return JSON.parse(await this.line());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.stdin?.end();
    await ended;
  }
}

/** The program of a Node of that major version: this one, or the npm package of that name, kept in `.ci`. Linux only. */
export async function nodeOf(major: number): Promise<string> {
  if (Number(process.versions.node.split(".")[0]) === major) return process.execPath;
  const folder = join(root, `.ci/node-${major}`);
  const path = join(folder, `node_modules/node${major}/bin/node`);
  if (!existsSync(path)) {
    const alias = `node${major}@npm:node-${process.platform}-${process.arch}@${major}`;
    const flags = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder];
    await output("npm", ["install", ...flags, alias]);
  }
  return path;
}

/** Ports that were free a moment ago. All are taken before any is given back, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port); // it listens on TCP
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
