import { Readable, Writable } from "node:stream";
import type { ConnectTls } from "@steward/core/driver";
import postgres, { type Options, type PostgresType, type Sql } from "postgres";

/** How postgres.js hands a query to the code that runs it. */
export type Handler = (query: DriverQuery) => void;

/** A query of postgres.js from the inside: the narrow seam of this package. Its own promise answers the caller. */
export interface DriverQuery {
  handler: Handler & { debug?: unknown };
  canceller: ((query: DriverQuery) => unknown) | null;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  /** The backend it was sent to. */
  state: { readonly pid: number | null } | null;
  /** Given when rows come in portions: takes one, and resolves when the next is wanted. */
  cursorFn?: ((rows: unknown) => unknown) | undefined;
  /** Makes its rows come in portions. */
  cursor(...args: unknown[]): unknown;
  /** Why a cursor has ended before its last row. */
  broken?: unknown;
  /** Given when it became a stream of rows or of COPY data. */
  streaming?: boolean;
  strings: readonly string[];
  /** Its own, made with it. */
  readonly options: { prepare?: boolean; readonly simple?: boolean };
  /** Its whole text, once it was sent. */
  readonly string?: string;
  /** Its parameters, once it was sent. */
  readonly parameters?: readonly unknown[];
  /** What the server said of it: `columns` from its description on, before the first row. */
  readonly statement?: { readonly columns?: readonly unknown[] | null } | null;
  args: readonly unknown[];
  /** The connection that runs it. */
  line?: { finish(query: DriverQuery, value: unknown): void; fail(query: DriverQuery, error: unknown): void };
  /** Gives an answer to its caller. */
  answer?: (value: unknown) => void;
  /** True when it was cancelled before it was sent. */
  cancelled?: unknown;
  /** What it runs as, once it was handed over. */
  work?: { cancel(): Promise<void> };
  /** True once it was handed over. */
  executed: boolean;
  /** Hands it over, once. */
  handle(): unknown;
  execute(): DriverQuery;
  then: Promise<unknown>["then"];
}

/** What postgres.js makes of its options: the part of it that is read or replaced here. */
export interface DriverOptions {
  host: string[];
  port: number[];
  path: string | false;
  ssl: ConnectTls;
  user: string;
  database: string;
  pass: unknown;
  max: number;
  parsers: Record<number, Parser>;
  serializers: Record<number, (value: unknown) => unknown>;
  shared: { retries: number; typeArrayMap: Record<number, number> };
  [other: string]: unknown;
}

/** Turns the text of a column into its value; one of an array type gets the text behind its first brace. */
export type Parser = ((text: string) => unknown) & { array?: boolean };

/** A client of postgres.js, made of options that it understands, also of those missing in its types. */
export function driverClient(options: Readonly<Record<string, unknown>>): Sql {
  // `socket`, `max_pipeline` and finished options are understood, but missing in the driver's types.
  return postgres(options as Options<Record<string, PostgresType>>);
}

/** What the driver made of a client's options. */
export function driverOptions(client: Sql): DriverOptions {
  return client.options as unknown as DriverOptions; // the driver keeps more there than its types say
}

/** Whether it is a query, not another thing that a client makes (identifiers, helpers, fragments are queries too). */
export function isQuery(made: unknown): made is DriverQuery {
  return made instanceof Promise && "handler" in made;
}

/** The query that `client.unsafe` makes. */
export function rawQuery(client: Pick<Sql, "unsafe">, text: string): DriverQuery {
  return client.unsafe(text) as unknown as DriverQuery; // every pending query is one inside
}

/** Hears the end of a query, by functions shared by all queries: a pair of closures for each is what one can measure. */
export function hearEnd(query: DriverQuery, line: NonNullable<DriverQuery["line"]>): void {
  query.line = line;
  query.answer = query.resolve;
  query.resolve = resolveQuery;
  query.reject = rejectQuery;
}

function resolveQuery(this: DriverQuery, value: unknown): void {
  this.line?.finish(this, value);
}

function rejectQuery(this: DriverQuery, error: unknown): void {
  this.line?.fail(this, error);
}

/** The connection that a cursor runs on. */
export interface CursorLine {
  finish(value: unknown): void;
  fail(error: unknown): void;
  /** What its reader gets for an error of the driver. */
  explain(error: unknown): unknown;
  /** Whether its rows are with their reader. */
  reading(isReading: boolean): void;
  isDead(): boolean;
}

/** Hears of every portion of rows and of the end of a cursor, though the driver exchanges its functions for each portion. */
export function hearCursor(query: DriverQuery, line: CursorLine): void {
  let { resolve, reject, cursorFn } = query;
  const fail = (error: unknown): void => {
    query.broken ??= line.explain(error); // before its reader hears of it, and may ask for the next portion at once
    reject(query.broken);
    line.fail(error);
  };
  Object.defineProperties(query, {
    resolve: {
      get: () => (value: unknown) => (resolve(value), line.finish(value)),
      set(next: typeof resolve) {
        resolve = next;
      },
    },
    reject: {
      get: () => fail,
      set(next: typeof reject) {
        reject = next;
      },
    },
    cursorFn: {
      get: () => (rows: unknown) => read(line, () => cursorFn?.(rows)),
      set(next: typeof cursorFn) {
        cursorFn = next;
      },
    },
  });
}

/** Lets a reader have its portion. The driver would go on on a connection that broke meanwhile, which ends the process. */
async function read(line: CursorLine, portion: () => unknown): Promise<unknown> {
  line.reading(true);
  try {
    return await portion();
  } finally {
    line.reading(false);
    if (line.isDead()) await new Promise(() => {});
  }
}

/** Whether an error is one of the connection, not one that the server or the driver has with the query. */
export function isConnectionError(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  if ("syscall" in error) return true;
  if (!("code" in error) || typeof error.code !== "string") return false;
  return (
    error.code.startsWith("CONNECT") ||
    ("severity" in error && (error.severity === "FATAL" || error.severity === "PANIC"))
  );
}

/** Whether it is a stream of rows or of COPY data. */
export function isStream(value: unknown): boolean {
  // Rows first: they are what nearly every query gives.
  return !Array.isArray(value) && (value instanceof Readable || value instanceof Writable);
}

/** Hears that the reader of a COPY has left it half way: the rest would have to be read before the next statement, and the driver does not. */
export function hearLeft(stream: unknown, then: () => void): void {
  if (stream instanceof Readable) stream.once("close", () => stream.readableEnded || then());
}

/** Whether rows may have come: the driver counts them until a statement succeeds, and puts those of the next one behind. */
export function mayHaveRows({ statement }: DriverQuery): boolean {
  return statement?.columns !== undefined && statement.columns !== null;
}

/** Whether it ends a transaction: it has no rows that would come to the wrong place, and the driver counts from 0 after it. */
export function endsTransaction({ strings }: DriverQuery): boolean {
  return /^\s*(rollback|commit|abort|end)\b/i.test(strings[0] ?? "");
}

/** Whether an error is one of the server, so that it has heard the statement and is through with it. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Error && "severity" in error;
}

/**
 * Has the driver get over a statement that failed, and forget its rows, by one of our own that succeeds. In a transaction that has failed
 * none does, and there is no need: nothing has rows there until a rollback, which succeeds.
 */
export function getOver(own: DriverQuery, handler: Handler, then: (done: boolean) => void): void {
  own.resolve = () => then(true);
  own.reject = (error) => then(isAborted(error));
  handler(own);
}

/** Whether the driver has lost count of replies: it asks for one more than it expects after parameters in the simple protocol. */
export function isUncounted({ options, parameters = [] }: DriverQuery): boolean {
  return options.simple === true && parameters.length > 0;
}

/** Whether the server refused a statement because an earlier one of its transaction had failed. */
export function isAborted(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "25P02";
}

/** Whether the server cancelled it. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "57014";
}
