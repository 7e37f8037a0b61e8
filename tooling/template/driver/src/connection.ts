import { connect, type Socket } from "node:net";
import { StewardError } from "@steward/core";
import { outcomeUnknown } from "@steward/core/driver";
import type { SampleEndpoint } from "./options.ts";

/** One TCP connection: each question is a line, and so is each answer, in the same order. */
export class Connection {
  readonly #resource: string;
  readonly #socket: Socket;
  readonly #waiting: PromiseWithResolvers[] = [];
  #rest = "";
  #reason = "it was closed";

  /** Connects at once; questions wait for it. */
  constructor(resource: string, endpoint: SampleEndpoint) {
    const { hostname: host, port } = new URL(endpoint.url);
    this.#resource = resource;
    this.#socket = connect({ host, port: Number(port) }).setEncoding("utf8");
    this.#socket.on("data", (text: string) => this.#take(text));
    this.#socket.on("error", (error) => (this.#reason = error.message));
    this.#socket.on("close", () => this.#lose());
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  /** One round trip; a rejection means that the remote is not well. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.ask("ping", signal);
  }

  /**
   * Asks and waits for the answer. When `signal` aborts, the connection is closed: what comes later on it could be
   * taken for the answer to another question.
   *
   * @throws {SAMPLE_REFUSED} the remote refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke, or could not be made.
   */
  async ask(text: string, signal: AbortSignal): Promise<string> {
    const close = (): void => this.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      const answer = await new Promise<string>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        this.#socket.write(`${text}\n`);
      });
      if (!answer.startsWith("-")) return answer;
      throw new StewardError("SAMPLE_REFUSED", `${this.#resource}: ${answer.slice(1)}`, { resource: this.#resource });
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
