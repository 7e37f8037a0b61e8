import { createHash, randomUUID } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import type { PGlite, PGliteOptions } from "@electric-sql/pglite";
import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { claimFolder } from "./folder-claim.ts";

/** What is used of a PGlite. */
export interface EmbeddedServer {
  execProtocolRaw(message: Uint8Array, options?: { syncToFs?: boolean }): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A driver's name for what is no folder, such as `memory://`. */
const OTHER = /^[a-z]+:\/\//i;

/**
 * Starts a Postgres inside this process, its data in a folder or in memory.
 * @throws {DATABASE_CONNECT_FAILED} when it does not start, or another process has the folder.
 */
export async function startEmbedded(name: string, dataDir: string | undefined): Promise<EmbeddedServer> {
  if (dataDir === undefined || OTHER.test(dataDir)) return started(name, dataDir);
  const release = await claimFolder(name, dataDir);
  try {
    const server = await started(name, dataDir);
    return {
      execProtocolRaw: (message, options) => server.execProtocolRaw(message, options),
      close: () => server.close().finally(release),
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function started(name: string, dataDir: string | undefined): Promise<EmbeddedServer> {
  try {
    return await (dataDir === undefined ? inMemory() : create({ dataDir }));
  } catch (error) {
    const message = `${name}: the embedded Postgres did not start (is @electric-sql/pglite installed?): ${describeError(error)}`;
    throw new StewardError("DATABASE_CONNECT_FAILED", message, { resource: name, cause: error });
  }
}

async function create(options: PGliteOptions): Promise<PGlite> {
  const driver = await import("@electric-sql/pglite");
  return driver.PGlite.create(options);
}

let starts = 0;
/** What a database in memory begins with: to read it takes a fifth of the time of making it. */
let empty: Blob | File | undefined;

async function inMemory(): Promise<PGlite> {
  const image = imageFile();
  const kept = image === undefined ? empty : await readFile(image).then(blobOf, () => undefined);
  const copy = kept && (await create({ loadDataDir: kept }).catch(() => undefined)); // what is no image is made anew
  if (copy !== undefined) return copy;
  const server = await create({});
  // That it cannot be kept costs later starts their time, and this one nothing.
  if (image !== undefined) await keep(image, server).catch(() => {});
  // It is 40 MB: a process that starts a single database never needs them.
  else if (++starts > 1) empty = await server.dumpDataDir("none");
  return server;
}

function blobOf(bytes: Uint8Array<ArrayBuffer>): Blob {
  return new Blob([bytes]);
}

/** Where processes keep it for one another, if the environment names a folder: another version has another file. */
function imageFile(): string | undefined {
  const folder = process.env["STEWARD_POSTGRES_TEMPLATES"];
  if (folder === undefined || folder === "") return undefined;
  const driver = fileURLToPath(import.meta.resolve("@electric-sql/pglite"));
  const key = createHash("sha256")
    .update(`${realpathSync(driver)} ${statSync(driver).mtimeMs}`)
    .digest("hex");
  return join(folder, `pglite-${key.slice(0, 16)}.tar`);
}

async function keep(image: string, server: PGlite): Promise<void> {
  const content = await server.dumpDataDir("none");
  await mkdir(dirname(image), { recursive: true, mode: 0o700 });
  const draft = `${image}-${randomUUID()}`;
  await writeFile(draft, new Uint8Array(await content.arrayBuffer()), { mode: 0o600 });
  await rename(draft, image);
}

const STARTUP = 196_608;
/** The message of a simple query. */
const ROLLBACK = Buffer.from("Q\0\0\0\x0Drollback\0", "latin1");

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

  /** The server has one session for all connections: a transaction does not end with the connection that began it. */
  override _destroy(reason: Error | null, done: (reason?: Error | null) => void): void {
    const over = (): void => done(reason);
    if (this.#started) this.#server.execProtocolRaw(ROLLBACK).then(over, over);
    else over();
  }

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
