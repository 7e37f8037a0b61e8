import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";

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
  "--remote-debugging-port=0",
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

interface Answer {
  readonly id?: number;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** A browser without a window, driven by the DevTools protocol. */
export class Chromium implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  private constructor(process: ChildProcess, ended: Promise<unknown>, folder: string, socket: WebSocket) {
    this.#process = process;
    this.#ended = ended;
    this.#folder = folder;
    this.#socket = socket;
    socket.on("message", (data) => {
      const answer = JSON.parse(String(data)) as Answer; // Chromium speaks its protocol
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  /** Starts one with a profile of its own. */
  static async start(): Promise<Chromium> {
    const program = findChromium();
    if (program === undefined) throw new Error(`there is no browser: none of ${NAMES.join(", ")} is on PATH`);
    const folder = await mkdtemp(join(tmpdir(), "steward-chromium-"));
    const child = spawn(program, [...FLAGS, `--user-data-dir=${folder}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const socket = new WebSocket(await addressOf(child), { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return new Chromium(child, ended, folder, socket);
  }

  async #ask(method: string, params: object = {}, sessionId?: string): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    const { result, error } = await new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  /** Opens a page and gives the way to run code in it: what an expression comes to, promises awaited. */
  async open(url: string): Promise<(expression: string) => Promise<unknown>> {
    const { targetId } = await this.#ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#ask("Target.attachToTarget", { targetId, flatten: true });
    const run = async (expression: string): Promise<unknown> => {
      const params = { expression, awaitPromise: true, returnByValue: true };
      const answer = (await this.#ask("Runtime.evaluate", params, String(sessionId))) as {
        readonly result: { readonly value?: unknown };
        readonly exceptionDetails?: unknown;
      }; // as its protocol says
      if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
      return answer.result.value;
    };
    await this.#ask("Page.navigate", { url }, String(sessionId));
    const isThere = `location.href === ${JSON.stringify(url)} && document.readyState === "complete"`;
    while ((await run(isThere)) !== true) await new Promise((resolve) => setTimeout(resolve, 20));
    return run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    this.#process.kill("SIGKILL");
    await this.#ended;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Where it listens for DevTools: it says so in its log. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    if (child.stderr === null) return reject(new Error("a browser without a log"));
    const said: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => {
      said.push(line);
      const [, address] = /^DevTools listening on (ws:\S+)/.exec(line) ?? [];
      if (address !== undefined) resolve(address);
    });
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`the browser ended with ${code}: ${said.slice(-5).join("\n")}`)));
  });
}
