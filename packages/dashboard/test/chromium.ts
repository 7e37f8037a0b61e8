import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

// No window, and nothing over the network that the tests have not asked for. As root there is no sandbox.
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-pipe",
];

/** The Chromium on PATH, or `undefined`. */
function findChromium(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why tests of browsers are skipped here, or `false`. With `CI=true` they are not: there they fail. */
export const skip: string | false =
  findChromium() !== undefined || process.env["CI"] === "true"
    ? false
    : `skipped: no browser here (none of ${NAMES.join(", ")} on PATH)`;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** What a console, the log of a page or an exception says; there is to be none. */
const COMPLAINTS = new Set(["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"]);

/** A browser without a window, driven by the DevTools protocol over a pipe. */
export class Chromium implements AsyncDisposable {
  /** What pages complained about. */
  readonly complaints: string[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #folder: string;
  readonly #input: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #rest = "";
  #lastId = 0;

  private constructor(child: ChildProcess, folder: string) {
    this.#process = child;
    this.#folder = folder;
    this.#ended = new Promise((resolve) => child.once("close", resolve));
    this.#input = child.stdio[3] as Writable; // a pipe, as it was asked for
    const output = child.stdio[4] as Readable; // a pipe, as it was asked for
    for (const stream of [this.#input, output]) stream.on("error", () => {}); // it has ended
    output.setEncoding("utf8").on("data", (text: string) => this.#take(text));
  }

  /** Starts one with a profile of its own. */
  static async start(): Promise<Chromium> {
    const program = findChromium();
    if (program === undefined) throw new Error(`there is no browser: none of ${NAMES.join(", ")} is on PATH`);
    const folder = await mkdtemp(join(tmpdir(), "steward-chromium-"));
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"] as const;
    return new Chromium(
      spawn(program, [...FLAGS, `--user-data-dir=${folder}`, "about:blank"], { stdio: [...stdio] }),
      folder,
    );
  }

  /** Opens a page and gives what runs code in it: what an expression comes to, promises awaited. */
  async open(url: string): Promise<(expression: string) => Promise<unknown>> {
    const { targetId } = await this.#ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#ask("Target.attachToTarget", { targetId, flatten: true });
    const ask = (method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> =>
      this.#ask(method, params, String(sessionId));
    for (const domain of ["Runtime", "Log", "Page"]) await ask(`${domain}.enable`);
    await ask("Page.navigate", { url });
    return async (expression) => {
      const answer = (await ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })) as {
        readonly result: { readonly value?: unknown };
        readonly exceptionDetails?: unknown;
      }; // as its protocol says
      if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
      return answer.result.value;
    };
  }

  async #ask(method: string, params: object, sessionId?: string): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#lastId;
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #take(text: string): void {
    const parts = `${this.#rest}${text}`.split("\0");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) {
      const message = JSON.parse(part) as Message; // Chromium speaks its protocol
      if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
      else if (COMPLAINTS.has(message.method ?? "")) this.complaints.push(JSON.stringify(message.params));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
