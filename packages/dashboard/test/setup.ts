import { get, type ClientRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";

/** One event of a stream. */
export interface StreamEvent {
  readonly event: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A viewer without a browser: reads server-sent events one by one. */
export class Viewer implements AsyncDisposable {
  readonly response: IncomingMessage;
  readonly #request: ClientRequest;
  readonly #events: StreamEvent[] = [];
  #rest = "";
  #wake = (): void => {};

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    this.response = response;
    response.setEncoding("utf8");
    response.on("error", () => {}); // cut off by us
    response.on("data", (text: string) => this.#take(text));
  }

  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Viewer> {
    const request = get(url, { headers, agent: false });
    request.on("error", () => {}); // cut off by us
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return new Viewer(request, response);
  }

  /** The next event of a kind that a test accepts; others are passed over. */
  async next(kind: string, accepts: (data: StreamEvent["data"]) => boolean = () => true): Promise<StreamEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else if (event.event === kind && accepts(event.data)) return event;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.response.destroyed) return;
    const closed = new Promise((resolve) => this.response.once("close", resolve)); // after an error that is no news
    this.#request.destroy();
    await closed;
  }

  #take(text: string): void {
    const blocks = `${this.#rest}${text}`.split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) => [line.split(": ", 1)[0] ?? "", line.replace(/^\w+: /, "")]),
      );
      const data = fields.get("data");
      if (data === undefined) continue;
      const parsed = JSON.parse(data) as StreamEvent["data"]; // what the dashboard wrote
      this.#events.push({ event: fields.get("event") ?? "", id: fields.get("id") ?? "", data: parsed });
    }
    this.#wake();
  }
}
