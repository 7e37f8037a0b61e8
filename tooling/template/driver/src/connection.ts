import { connect, type Socket } from "node:net";
import type { StewardError } from "@steward/core";
import { outcomeUnknown } from "@steward/core/driver";

/** One TCP connection: each question is a line, and so is each answer, in the same order. */
export class Connection {
  readonly #resource: string;
  readonly #socket: Socket;
  readonly #waiting: PromiseWithResolvers[] = [];
  #rest = "";
  #reason = "it was closed";

  /** Connects at once; questions wait for it. */
  constructor(resource: string, host: string, port: number) {
    this.#resource = resource;
    this.#socket = connect({ host, port }).setEncoding("utf8");
    this.#socket.on("data", (text: string) => this.#take(text));
    this.#socket.on("error", (error) => (this.#reason = error.message));
    this.#socket.on("close", () => this.#lose());
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  /**
   * Asks and waits for the answer. When `signal` aborts, the connection is closed: what comes later on it could be
   * taken for the answer to another question.
   *
   * @throws {OUTCOME_UNKNOWN} the connection broke, or could not be made.
   */
  async ask(text: string, signal: AbortSignal): Promise<string> {
    const close = (): void => this.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        this.#socket.write(`${text}\n`);
      });
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#waiting.shift()?.resolve(line);
  }

  #lose(): void {
    const resource = this.#resource;
    for (const { reject } of this.#waiting.splice(0)) {
      reject(outcomeUnknown(resource, `the connection ended before an answer (${this.#reason})`));
    }
  }
}

interface PromiseWithResolvers {
  readonly resolve: (line: string) => void;
  readonly reject: (error: StewardError) => void;
}
