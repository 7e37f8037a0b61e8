import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { StewardError, type Clock } from "@steward/core";
import { aborted, ConnectionWatch, lastBytes } from "@steward/core/driver";
import type { Sql } from "postgres";
import { driverOptions, type DriverQuery } from "../connections/driver.ts";
import { brokenSocket, cutOff, type Endpoint, type Plug } from "../connections/endpoint.ts";

export type Subscribe = Parameters<Sql["subscribe"]>;
export type Handle = Awaited<ReturnType<Sql["subscribe"]>>;

/** What a {@link Replica} needs. */
export interface ReplicaParts {
  readonly clock: Clock;
  readonly endpoint: Endpoint;
  /** Whether the server waits for us in that backend, or has none of that id. Rejects without an answer. */
  readonly isWaiting: (pid: number) => Promise<boolean>;
  /** Called once, when it has broken. */
  readonly onLost: () => void;
}

/** Without changes the server is asked for a sign of life, and may take as long to give it. As for `listen`. */
const HEARTBEAT_MS = 5_000;
const SILENCE_MS = 2_000;
/** How long a server may take for the goodbye of a stream. */
const GOODBYE_MS = 250;

/** First bytes of messages of streaming replication: https://www.postgresql.org/docs/current/protocol-replication.html */
const KEEPALIVE = 0x6b;
const STATUS_UPDATE = 0x72;

/** One connection for logical replication, with its slot, from its socket to its end; it is never connected again. */
export class Replica {
  readonly #parts: ReplicaParts;
  readonly #client: Sql;
  readonly #ending = new AbortController();
  readonly #ended = aborted(this.#ending.signal);
  #socket: Duplex | undefined;
  #stream: Duplex | undefined;
  #watch: ConnectionWatch | undefined;
  #isExamining = false;
  /** The silence, in ms, after which the server is asked about it. */
  #examineAfterMs = 0;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    const client = (this.#client = parts.endpoint.client({
      mode: { asText: false },
      socket: (plug) => this.#connect(plug),
      onClose() {},
      onNoPassword: (cause) => this.#socket?.destroy(new Error("the password could not be fetched", { cause })),
    }));
    const { sql } = client.subscribe as unknown as { readonly sql: Sql }; // missing in the driver's types
    const own = driverOptions(sql);
    // The driver would connect to the same host anew, and end the process where no one hears the rejection of an attempt that fails.
    own["onclose"] = () => this.#lost();
    hearStream(sql, (stream) => (this.#stream = stream));
  }

  #connect(plug: Plug): Duplex {
    if (this.#socket !== undefined || this.#ending.signal.aborted)
      return brokenSocket(new Error("this connection has ended"));
    return (this.#socket = plug());
  }

  /** Subscribes as the driver does. Rejects when it breaks or ends before. */
  async subscribe(...args: Subscribe): Promise<Handle> {
    const subscribed = this.#client.subscribe(...args);
    await Promise.race([subscribed, this.#ended]);
    this.#ending.signal.throwIfAborted();
    const handle = await subscribed;
    if (this.#stream !== undefined) this.#watch ??= this.#watchOver(this.#stream, pidOf(handle));
    return handle;
  }

  get #received(): number {
    return (this.#socket as Partial<Socket> | undefined)?.bytesRead ?? 0; // an embedded one counts none
  }

  #watchOver(stream: Duplex, pid: number): ConnectionWatch {
    let position = Buffer.alloc(8); // nothing is confirmed by it
    stream.on("data", (message: Buffer) => {
      if (message[0] === KEEPALIVE) position = Buffer.from(message.subarray(1, 9));
    });
    let askedAt: number | undefined;
    const ask = (): void => {
      askedAt = this.#received;
      this.#examineAfterMs = 0;
      if (stream.writable) stream.write(statusUpdate(position, this.#parts.clock.wallNow()));
    };
    return new ConnectionWatch({
      clock: this.#parts.clock,
      silenceMs: SILENCE_MS,
      heartbeatMs: HEARTBEAT_MS,
      owed: () => (askedAt === this.#received ? stream : undefined),
      received: () => this.#received,
      onSilence: (silentMs, owes) => (owes ? void this.#examine(pid, silentMs) : ask()),
    }).start();
  }

  /** A server that reads through a long transaction is silent too, so it is asked whether it is at work. */
  async #examine(pid: number, silentMs: number): Promise<void> {
    if (this.#isExamining || silentMs < this.#examineAfterMs) return;
    this.#isExamining = true;
    const received = this.#received;
    try {
      if (!(await this.#parts.isWaiting(pid))) return void (this.#examineAfterMs = 2 * silentMs);
      await lastBytes(this.#parts.clock, this.#ending.signal);
      if (received === this.#received) this.#cutOff();
    } catch {
      // No answer proves nothing; it is asked again, unless this has ended.
    } finally {
      this.#isExamining = false;
    }
  }

  #cutOff(): void {
    if (this.#socket !== undefined) cutOff(this.#socket);
    this.#lost();
  }

  #lost(): void {
    if (this.#finish("the connection broke")) this.#parts.onLost();
  }

  #finish(why: string): boolean {
    if (this.#ending.signal.aborted) return false;
    this.#ending.abort(new StewardError("RESOURCE_UNAVAILABLE", why, { retryable: true }));
    this.#watch?.stop();
    return true;
  }

  /** Ends it: with a goodbye where its stream runs, or else at once. */
  end(): void {
    const socket = this.#socket;
    if (!this.#finish("it was ended") || socket === undefined) return;
    if (this.#stream === undefined) return cutOff(socket);
    this.#client.end({ timeout: 0 }).catch(() => {});
    // A peer that is frozen or gone never answers a goodbye.
    const timer = this.#parts.clock.setTimeout(() => cutOff(socket), GOODBYE_MS);
    socket.once("close", () => timer.cancel());
  }
}

/** The backend that sends the changes. */
function pidOf(handle: Handle): number {
  return (handle as unknown as { readonly state: { readonly pid: number } }).state.pid; // missing in the driver's types
}

/** Hears of the stream of changes, which the driver keeps to itself. */
function hearStream(sql: Sql, heard: (stream: Duplex) => void): void {
  const { unsafe } = sql;
  sql.unsafe = (...args) => {
    const made = unsafe(...args);
    const query = made as unknown as DriverQuery; // every pending query is one inside
    const { resolve } = query;
    query.resolve = (value) => {
      if (value instanceof Duplex) heard(value);
      resolve(value);
    };
    return made as never; // as it was given
  };
}

/** Says how far we have read, and asks for a reply. */
function statusUpdate(position: Buffer, wallMs: number): Buffer {
  const message = Buffer.alloc(34);
  message[0] = STATUS_UPDATE;
  for (const start of [1, 9, 17]) position.copy(message, start);
  message.writeBigInt64BE(BigInt(Math.round(wallMs) - Date.UTC(2000, 0, 1)) * 1_000n, 25);
  message[33] = 1;
  return message;
}
