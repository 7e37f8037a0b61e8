import type { Redis } from "ioredis";

/** Beyond this many characters what was collected is written at once. */
const PART = 1 << 20;

/**
 * Writes the first command of a tick at once and those that follow it in the same tick together: most of the time of a
 * command is the system call that sends it. The driver takes it for the stream of a pipeline.
 *
 * All commands of a connection have to take this way, or one could overtake another between here and the socket.
 */
export class TickWriter {
  readonly isPipeline = true;
  readonly destination: { readonly redis: Redis };
  #text = "";
  #collecting = false;

  constructor(redis: Redis) {
    this.destination = { redis };
  }

  /** What follows in this tick is written together, the first command too: more are known to come. */
  collect(): void {
    if (this.#collecting) return;
    this.#collecting = true;
    process.nextTick(this.#flush);
  }

  write(data: string | Buffer): void {
    if (!this.#collecting) {
      this.collect();
      this.destination.redis.stream.write(data);
    } else if (typeof data === "string" && this.#text.length + data.length < PART) this.#text += data;
    else {
      this.#writeText();
      this.destination.redis.stream.write(data);
    }
  }

  readonly #flush = (): void => {
    this.#collecting = false;
    this.#writeText();
  };

  #writeText(): void {
    const text = this.#text;
    const { stream } = this.destination.redis;
    this.#text = "";
    // A socket that is closing takes no more; its end sorts out what has no reply.
    if (text !== "" && stream.writable) stream.write(text);
  }
}
