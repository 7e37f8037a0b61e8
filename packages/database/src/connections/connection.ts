import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock, StewardError, Timer } from "@steward/core";
import { describeError, isWriteRefused, outcomeUnknown, READS_ONLY } from "@steward/core/driver";
import type { Sql } from "postgres";
import { ARRAY_TYPES, learnArrays } from "./arrays.ts";
import { switchArrays, type DateMode } from "./dates.ts";
import {
  driverOptions,
  endsTransaction,
  getOver,
  hearCursor,
  hearEnd,
  hearLeft,
  isAnswer,
  isCancelled,
  isConnectionError,
  isStream,
  isUncounted,
  mayHaveRows,
  rawQuery,
  type DriverQuery,
  type Handler,
} from "./driver.ts";
import { brokenSocket, cutOff, type Endpoint, type Plug } from "./endpoint.ts";
import type { Line, Revocable, Runner } from "./line.ts";
import { connectTimeout, noPassword, readsOnly } from "./refusals.ts";

/** The owner of connections learns from here what happens to them. */
export interface ConnectionOwner {
  readonly name: string;
  readonly clock: Clock;
  /** It is gone, whatever it did. Called once. */
  closed(connection: Connection): void;
  /** A notification arrived. */
  notified?(channel: string, payload: string): void;
}

const HELLO = `select pg_backend_pid() as pid, pg_postmaster_start_time()::text as server, ${READS_ONLY}`;

/** How long a cancelled query may still hold its connection, in ms. */
const CANCEL_GRACE_MS = 1_000;

/**
 * One connection to the server, from its socket to its end; it is never connected again. It runs one query at a time.
 *
 * It is a client of postgres.js with one place and our own socket, so that every query, every reply and every death
 * belongs to exactly one connection, and can be timed, cancelled and cut off.
 */
export class Connection implements Line {
  /** When it was opened, in ms of the clock. */
  readonly openedAt: number;
  /** When it has to be replaced. */
  expiresAt: number = Number.POSITIVE_INFINITY;
  idleSince: number = Number.POSITIVE_INFINITY;
  /** True when it must not be used again once it is given back. */
  retired = false;
  /** Process id of its backend. */
  pid = 0;
  /** Identifies the server, so that another one behind the same address is not asked about our backends. */
  server = "";
  /** False behind a pooler, whose backends change below us. */
  direct = true;
  dead = false;
  lease: Revocable | undefined = undefined;
  /** What the caller of a query is given, that the server cancels. */
  interruption: StewardError | undefined = undefined;
  /** How many queries it has begun. */
  begun = 0;
  streaming = false;
  /** True while the rows of a cursor are with their reader: the server waits for us, not we for it. */
  paused = false;
  /** Whether only a server that takes writes will do. */
  readonly isWriting: boolean;
  /** The one host that it leads to. */
  readonly endpoint: Endpoint;
  /** The pool it belongs to, if it belongs to one. */
  readonly owner: ConnectionOwner;
  readonly #mode: DateMode = { asText: false };
  readonly #sql: Sql;
  readonly #handler: Handler;
  readonly #canceller: (query: DriverQuery) => unknown;
  readonly #cancelSockets = new Set<Duplex>();
  readonly #isPreparing: boolean;
  /** It has refused a write: its server may have become a standby. */
  isSuspect = false;
  /** The driver still counts rows of a statement that failed, or waits for the server's word on one that it did not send. */
  #isBehind = false;
  #socket: Duplex | undefined;
  #query: DriverQuery | undefined;
  #runner: Runner | undefined;
  #cancelling = false;
  #cancelled: Promise<unknown> | undefined;
  /** Bounds a cancellation until the server has taken the request and the query has ended. */
  #grace: Timer | undefined;
  #reason: StewardError | undefined;
  #failOpening: ((error: unknown) => void) | undefined;

  constructor(owner: ConnectionOwner, endpoint: Endpoint) {
    this.owner = owner;
    this.isWriting = endpoint.isWriting;
    this.#isPreparing = endpoint.isPreparing;
    this.openedAt = owner.clock.now();
    this.endpoint = endpoint.next();
    this.#sql = this.endpoint.client({
      mode: this.#mode,
      socket: (plug) => this.#connect(plug),
      onClose: () => this.#close(),
      onNotify: (channel, payload) => owner.notified?.(channel, payload),
      onNoPassword: (error) => this.destroy(noPassword(this.owner.name, error)),
    });
    const query = rawQuery(this.#sql, "");
    this.#handler = query.handler;
    this.#canceller = query.canceller ?? ((): void => {});
  }

  /** True while a query is on the wire. */
  get busy(): boolean {
    return this.#query !== undefined;
  }

  /** Bytes received so far; as long as it grows, the server is alive. */
  get received(): number {
    return (this.#socket as Partial<Socket> | undefined)?.bytesRead ?? 0; // an embedded one counts none
  }

  /** True when it is inside this process, with no socket to watch. */
  get embedded(): boolean {
    return this.#socket !== undefined && !("bytesRead" in this.#socket); // one that is being made is not
  }

  /** Connects, logs in and asks the server who it is, and what arrays it has if users will see its values. Rejects with the server's or the socket's own error. */
  async open(timeoutMs: number, withArrays: boolean = false): Promise<void> {
    const timer = this.owner.clock.setTimeout(
      () => this.destroy(connectTimeout(this.owner.name, timeoutMs)),
      timeoutMs,
    );
    try {
      const [row] = await this.#hello();
      this.pid = this.#state?.pid ?? 0;
      this.direct = Number(row?.["pid"]) === this.pid;
      this.server = String(row?.["server"]);
      // A statement prepared in one session is unknown in the next, and a pooler may change ours after each transaction.
      if (!this.direct && !this.#isPreparing) driverOptions(this.#sql)["prepare"] = false;
      if (row?.["reads_only"] === true && this.isWriting) throw readsOnly(this.owner.name);
      if (withArrays) await this.#learnArrays();
    } catch (error) {
      this.destroy();
      throw this.#reason ?? error;
    } finally {
      timer.cancel();
      this.#failOpening = undefined;
    }
  }

  async #learnArrays(): Promise<void> {
    const own = driverOptions(this.#sql);
    learnArrays(own, await this.query(ARRAY_TYPES));
    switchArrays(own, this.#mode);
  }

  #state: DriverQuery["state"] = null;

  #hello(): Promise<readonly Record<string, unknown>[]> {
    return new Promise((resolve, reject) => {
      this.#failOpening = reject;
      const query = rawQuery(this.#sql, HELLO);
      const done = (rows: unknown): void => {
        this.#state = query.state;
        resolve(rows as readonly Record<string, unknown>[]); // what a select gives
      };
      query.then(done, reject);
    });
  }

  #connect(plug: Plug): Duplex {
    if (this.#cancelling) return this.#connectToCancel(plug);
    // The driver would connect again by itself; a connection of ours has one life.
    if (this.#socket !== undefined || this.dead) return brokenSocket(new Error("this connection has ended"));
    const socket = (this.#socket = plug());
    // An idle socket may report its error a moment before its close, and no caller must be given it in between.
    socket.once("error", (error) => this.#close(error));
    socket.once("close", () => this.#close());
    return socket;
  }

  #connectToCancel(plug: Plug): Duplex {
    // With TLS no one here would hear of their end.
    for (const old of this.#cancelSockets) if (old.closed) this.#cancelSockets.delete(old);
    const socket = plug();
    this.#cancelSockets.add(socket);
    return socket;
  }

  #close(cause?: Error): void {
    if (this.dead) return;
    this.dead = true;
    for (const socket of this.#cancelSockets) cutOff(socket);
    // The driver reports it to a query that runs by itself, but not while it logs in.
    this.#failOpening?.(this.#reason ?? cause ?? new Error("the server closed the connection during the login"));
    this.lease?.broke();
    this.owner.closed(this);
  }

  #lost(why: string, cause?: unknown): StewardError {
    return outcomeUnknown(this.owner.name, `${why} while a statement was running`, { cause });
  }

  /** Runs a query. There must be none running. */
  run(query: DriverQuery, runner: Runner): void {
    this.#query = query;
    this.#runner = runner;
    this.#mode.asText = runner.asText;
    this.begun++;
    if (query.cursorFn === undefined) hearEnd(query, this);
    else this.#runCursor(query);
    if (!this.#isBehind || endsTransaction(query)) return this.#handler(query);
    getOver(rawQuery(this.#sql, "select 1"), this.#handler, (done) => {
      if (!done) this.destroy(); // then the query fails as any other one on a connection that has ended
      this.#isBehind = false;
      if (this.#query === query) this.#handler(query);
    });
  }

  #runCursor(query: DriverQuery): void {
    hearCursor(query, {
      finish: (value) => this.finish(query, value),
      fail: (error) => this.fail(query, error),
      explain: (error) => this.#explain(error),
      reading: (isReading) => (this.paused = isReading),
      isDead: () => this.dead,
    });
  }

  /** @internal The driver has an answer: rows, or a stream of them, after which comes another one at its end. */
  finish(query: DriverQuery, value: unknown): void {
    if (isStream(value) && !this.streaming && this.#query === query) {
      this.streaming = true;
      hearLeft(value, () => this.#end(query, false)?.finished(this.destroy()));
      query.answer?.(value);
    } else this.#end(query, false)?.finished(value);
  }

  /** @internal The driver has given it up. */
  fail(query: DriverQuery, error: unknown): void {
    const runner = this.#end(query, this.#isBehind || mayHaveRows(query) || !isAnswer(error));
    if (runner === undefined) return;
    if (!isConnectionError(error)) {
      if (this.isWriting && isWriteRefused(error)) this.isSuspect = true;
      if (isUncounted(query)) this.destroy();
      return runner.failed(isCancelled(error) ? (this.interruption ?? error) : error);
    }
    this.destroy();
    runner.failed(this.#explain(error));
  }

  /** What its caller gets for an error of the driver. */
  #explain(error: unknown): unknown {
    if (!isConnectionError(error)) return error;
    return this.#reason ?? this.#lost(describeError(error), error);
  }

  #end(query: DriverQuery, isBehind: boolean): Runner | undefined {
    if (this.#query !== query) return undefined;
    const runner = this.#runner;
    this.#query = this.#runner = undefined;
    this.#isBehind = isBehind;
    this.streaming = this.paused = false;
    if (this.#cancelled === undefined) this.#grace?.cancel();
    return runner;
  }

  /** Asks the server to cancel what runs; when that does not help in time, the connection is cut off. */
  cancel(reason: StewardError): Promise<unknown> {
    const query = this.#query;
    if (query === undefined || this.dead || this.#cancelled !== undefined) return this.#cancelled ?? Promise.resolve();
    const cancelled: Promise<unknown> = new Promise((resolve) => {
      const taken = (): void => {
        if (this.#cancelled === cancelled) {
          this.#cancelled = undefined;
          if (this.#query !== query) this.#grace?.cancel();
        }
        resolve(undefined);
      };
      const giveUp = (): void => {
        // Of this request, for a later one has its own time.
        if (this.#cancelled === cancelled) for (const socket of this.#cancelSockets) cutOff(socket);
        if (this.#query === query) this.destroy(reason);
        taken();
      };
      // It stands when the request was taken, too: the server may still not let go of the query.
      this.#grace = this.owner.clock.setTimeout(giveUp, CANCEL_GRACE_MS, { unref: true });
      this.#askToCancel(query).then(taken, taken);
    });
    return (this.#cancelled = cancelled);
  }

  /** Settles when the server has taken the request, so that it cannot hit the next query. */
  #askToCancel(query: DriverQuery): Promise<unknown> {
    this.#cancelling = true;
    try {
      return Promise.resolve(this.#canceller(query));
    } finally {
      this.#cancelling = false;
    }
  }

  /** Resolves when no cancellation is under way any more. */
  get settled(): Promise<unknown> | undefined {
    return this.#cancelled;
  }

  /** Says goodbye when nothing runs. */
  end(): void {
    if (this.dead) return;
    if (this.busy) return this.destroy();
    const socket = this.#socket;
    this.#sql.end({ timeout: 0 }).catch(() => {});
    // A peer that is frozen or gone never answers a goodbye.
    if (socket !== undefined) this.owner.clock.setTimeout(() => cutOff(socket), 250);
  }

  /** Cuts it off at once. What runs fails with `reason`, or as lost. */
  destroy(reason?: StewardError): void {
    this.#reason ??= reason;
    for (const socket of this.#cancelSockets) cutOff(socket);
    if (this.#socket !== undefined) cutOff(this.#socket);
    // No caller must be given it in the time until the socket reports its own close.
    this.#close();
  }

  /** Whether its server takes no writes of anybody. There must be nothing running. */
  async readsOnly(): Promise<boolean> {
    this.isSuspect = false;
    return (await this.query(`select ${READS_ONLY}`))[0]?.["reads_only"] === true;
  }

  /** Runs a statement of our own and gives its rows. There must be none running. */
  query(text: string): Promise<readonly Record<string, unknown>[]> {
    return new Promise((resolve, reject) => {
      const query = rawQuery(this.#sql, text);
      const finished = (rows: unknown): void => resolve(rows as readonly Record<string, unknown>[]); // what a statement gives
      query.handler = () => this.run(query, { asText: false, finished, failed: reject });
      query.execute();
    });
  }
}
