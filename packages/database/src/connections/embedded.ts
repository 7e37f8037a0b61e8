import { Duplex } from "node:stream";
import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";

/** What is used of a PGlite. */
export interface EmbeddedServer {
  execProtocolRaw(message: Uint8Array, options?: { syncToFs?: boolean }): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Starts a Postgres inside this process, its data in a folder or in memory. */
export async function startEmbedded(name: string, dataDir: string | undefined): Promise<EmbeddedServer> {
  try {
    const { PGlite } = await import("@electric-sql/pglite");
    return await PGlite.create(dataDir === undefined ? {} : { dataDir });
  } catch (error) {
    const message = `${name}: the embedded Postgres did not start (is @electric-sql/pglite installed?): ${describeError(error)}`;
    throw new StewardError("DATABASE_CONNECT_FAILED", message, { resource: name, cause: error });
  }
}

const STARTUP = 196_608;

/**
 * The wire to an embedded server: the driver writes to it and reads from it as from a socket. Messages are run whole,
 * one after the other.
 */
export class EmbeddedSocket extends Duplex {
  readonly #server: EmbeddedServer;
  #pending: Buffer = Buffer.alloc(0);
  #started = false;

  constructor(server: EmbeddedServer) {
    super();
    this.#server = server;
  }

  /** The driver asks before it says goodbye. */
  get readyState(): string {
    return this.destroyed ? "closed" : "open";
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    this.#runAll().then(() => done(), done);
  }

  async #runAll(): Promise<void> {
    for (let message = this.#whole(); message !== undefined; message = this.#whole()) {
      if (message[0] === 0x58) return void this.destroy(); // Terminate
      const reply = await this.#server.execProtocolRaw(message, { syncToFs: true });
      if (this.destroyed) return;
      if (reply.length > 0) this.push(Buffer.from(reply));
    }
  }

  /** Takes the messages that have arrived in full, all at once: the server answers them in order. */
  #whole(): Buffer | undefined {
    let end = 0;
    while (this.#pending.length >= end + 8 || (this.#started && this.#pending.length >= end + 5)) {
      const length = this.#started ? this.#pending.readUInt32BE(end + 1) + 1 : this.#pending.readUInt32BE(end);
      if (this.#pending.length < end + length) break;
      if (!this.#started) this.#started = this.#pending.readUInt32BE(end + 4) === STARTUP;
      end += length;
    }
    if (end === 0) return undefined;
    const message = this.#pending.subarray(0, end);
    this.#pending = this.#pending.subarray(end);
    return message;
  }
}
