import type { Redis } from "ioredis";

/** Beyond this many characters a pipeline is written in parts. */
const PART = 1 << 20;

/** Collects what the commands of a pipeline write, and writes it at once. It is what the driver takes for a stream. */
export class BatchWriter {
  readonly isPipeline = true;
  readonly destination: { readonly redis: Redis };
  #text = "";
  #parts: (string | Buffer)[] = [];

  /** `destination` says whose socket it is; in a cluster the driver fills it in with the first command. */
  constructor(destination: { readonly redis: Redis }) {
    this.destination = destination;
  }

  write(data: string | Buffer): void {
    if (typeof data === "string" && this.#text.length + data.length < PART) {
      this.#text += data;
      return;
    }
    this.#cut();
    this.#parts.push(data);
  }

  #cut(): void {
    if (this.#text !== "") this.#parts.push(this.#text);
    this.#text = "";
  }

  /** Writes what has been collected. */
  flush(): void {
    this.#cut();
    if (this.#parts.length === 0) return;
    const { stream } = this.destination.redis;
    if (this.#parts.length > 1) stream.cork();
    for (const part of this.#parts) stream.write(part);
    if (this.#parts.length > 1) stream.uncork();
    this.#parts = [];
  }
}
