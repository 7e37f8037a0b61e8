import { inspect } from "node:util";
import { isStewardError, StewardError, type CallOptions, type Guard } from "@steward/core";
import { GuardedUse, soundTraceparent, sqlKeyword } from "@steward/core/driver";
import type { Line, Runner, Taker } from "../connections/line.ts";
import type { DriverQuery } from "../connections/driver.ts";
import { transactionLeftOpen } from "../connections/refusals.ts";
import { mayLeaveOpen, rollBack, type OwnLine } from "./left-open.ts";

/** Where a query or a lease gets its connection from: a pool, or a lease that has one. */
export interface Source {
  readonly name: string;
  readonly guard: Guard;
  take(taker: Taker): void;
  leave(taker: Taker): boolean;
  release(connection: Line): void;
  /** Why there is no connection, if that is known. */
  readonly trouble: unknown;
  /** Whether the server is given the trace of each statement. */
  readonly traceComments: boolean;
}

/** Whatever passes the guard to use a connection. */
export abstract class ConnectionUse extends GuardedUse implements Taker {
  abstract readonly exclusive: boolean;
  protected readonly source: Source;
  protected connection: Line | undefined = undefined;

  constructor(source: Source) {
    super();
    this.source = source;
  }

  override get isAcquiring(): boolean {
    return this.connection === undefined;
  }

  protected override begin(): void {
    this.source.take(this);
  }

  abstract take(connection: Line): void;

  refuse(error: StewardError): void {
    this.fail(error);
  }

  /** It ended before it had a connection; its place is freed when the guard is through with it. */
  protected leave(): void {
    if (this.source.leave(this)) queueMicrotask(() => this.succeed());
  }

  /** A deadline that passed while no connection could be made is reported with the reason for that. */
  protected explain(error: unknown): unknown {
    const { trouble, name } = this.source;
    if (trouble === undefined || this.connection !== undefined || !isStewardError(error, "DEADLINE_EXCEEDED"))
      return error;
    const reason = trouble instanceof Error ? trouble.message : String(trouble);
    return new StewardError("DATABASE_CONNECT_FAILED", `${error.message}: ${reason}`, {
      resource: name,
      cause: trouble,
      retryable: true,
    });
  }
}

/** A query of the driver on its way: queued, on the wire, or cancelled. */
export class QueryWork extends ConnectionUse implements Runner {
  readonly exclusive = false;
  readonly asText: boolean;
  readonly #query: DriverQuery;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;

  constructor(source: Source, query: DriverQuery, asText: boolean) {
    super(source);
    this.asText = asText;
    this.#query = query;
    this.#resolve = query.resolve;
    this.#reject = query.reject;
  }

  override get operation(): string | undefined {
    return sqlKeyword(this.#query.strings[0]);
  }

  override take(connection: Line): void {
    this.connection = connection;
    this.acquired();
    queueMicrotask(() => this.#send(connection));
  }

  /** One turn later, as the driver does it: what is cancelled in the tick in which it was asked for has not run at all. */
  #send(connection: Line): void {
    if (this.settled || this.#query.cancelled === true) return this.#failed(notSent());
    if (this.source.traceComments && this.traceContext !== undefined) addComment(this.#query, this.traceContext);
    connection.run(this.#query, this);
  }

  finished(value: unknown): void {
    const { connection } = this;
    if (mayLeaveOpen(connection, this.#query, value)) void this.#finishOutside(connection, value);
    else this.#finished(value);
  }

  failed(error: unknown): void {
    const { connection } = this;
    if (mayLeaveOpen(connection, this.#query)) void this.#failOutside(connection, error);
    else this.#failed(error);
  }

  async #finishOutside(line: OwnLine, value: unknown): Promise<void> {
    try {
      if (await rollBack(line)) throw transactionLeftOpen(this.source.name);
      this.#finished(value);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #failOutside(line: OwnLine, error: unknown): Promise<void> {
    await rollBack(line).catch(() => {});
    this.#failed(error);
  }

  #finished(value: unknown): void {
    this.#giveBack();
    if (!this.settled) this.#resolve(value);
    this.succeed();
  }

  #failed(error: unknown): void {
    this.#giveBack();
    this.fail(error);
  }

  /** From here on the connection may run another query: it is no longer ours to cancel. */
  #giveBack(): void {
    const { connection } = this;
    this.connection = undefined;
    if (connection !== undefined) this.source.release(connection);
  }

  protected override giveUp(error: unknown): void {
    // First, for a query that was rejected counts as inactive, and the driver cancels active ones alone.
    if (this.connection?.busy === true) void this.connection.cancel(asReason(error, this.source.name));
    this.#query.broken = error;
    if (this.asText) maskParameters(this.#query.args);
    this.#reject(this.explain(error));
    if (this.connection === undefined) this.leave();
  }

  interrupt(reason: StewardError): void {
    if (!this.settled) this.giveUp(reason);
  }

  /** Its caller wants it no longer. */
  async cancel(): Promise<void> {
    if (this.settled) return;
    if (this.connection === undefined) this.#leaveQueue();
    else if (this.connection.busy) await this.connection.cancel(cancelled(this.source.name));
    else this.#query.cancelled = true;
  }

  /** While it waits nothing has to be cancelled at the server. */
  #leaveQueue(): void {
    this.source.leave(this);
    this.fail(notSent());
  }
}

/** What the server says to a statement that is cancelled, so that it says as little about its health. */
function notSent(): Error {
  return Object.assign(new Error("canceling statement due to user request"), { name: "PostgresError", code: "57014" });
}

/**
 * Says at the end of a statement which trace it belongs to. It is another text each time, so it is not prepared.
 * Source: https://google.github.io/sqlcommenter/spec/
 */
function addComment(query: DriverQuery, traceContext: string): void {
  const traceparent = soundTraceparent(traceContext);
  if (traceparent === undefined) return;
  const last = query.strings.length - 1;
  const comment = `/*traceparent='${traceparent}'*/`; // hexadecimal digits, so nothing in it has to be encoded
  query.strings = query.strings.map((text, i) => (i === last ? `${text}${comment}` : text));
  query.options.prepare = false;
}

function asReason(error: unknown, name: string): StewardError {
  return isStewardError(error) ? error : cancelled(name, error);
}

function cancelled(name: string, cause?: unknown): StewardError {
  return new StewardError("CALL_ABORTED", `${name}: cancelled, but the server did not let go of it in time`, {
    resource: name,
    cause,
  });
}

/**
 * Drizzle writes the parameters of a failed statement into the text of its error, from where they get into logs. They
 * are whatever users have typed: they stay where programs find them, and are shown by their number only.
 */
function maskParameters(parameters: readonly unknown[]): void {
  if (parameters.length === 0) return;
  const shown = (): string => `[${parameters.length} parameters]`;
  const hidden = { value: shown, configurable: true };
  Object.defineProperties(parameters, { toString: hidden, toJSON: hidden, [inspect.custom]: hidden });
}

/** Hands a query over to its guard. */
export function submit(source: Source, query: DriverQuery, asText: boolean, options?: CallOptions): void {
  if (query.cancelled === true) return query.reject((query.broken = notSent()));
  const work = new QueryWork(source, query, asText);
  query.work = work;
  source.guard.enter(work, options);
}

/** What a query of ours does when its caller cancels it. */
export async function cancelWork(query: DriverQuery): Promise<void> {
  if (query.work === undefined) query.cancelled = true;
  else await query.work.cancel();
}
