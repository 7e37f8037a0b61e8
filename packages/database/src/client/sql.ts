import { readFile } from "node:fs";
import type { Sql } from "postgres";
import { isQuery, type DriverQuery, type Handler } from "../connections/driver.ts";
import { cancelWork } from "./work.ts";

/** Makes a query of the driver run through `handler` instead of the driver's own pool. */
export function adopt<T>(made: T, handler: Handler): T {
  if (!isQuery(made)) return made;
  made.handler = handler;
  made.canceller = cancelWork;
  made.handle = handle;
  made.cursor = cursor;
  return made;
}

/**
 * The driver ends the loop over a cursor that breaks while its rows are read as if they had been the last ones, and
 * forgets who asked for a portion when another one is asked for meanwhile: here they take turns.
 */
function cursor(this: DriverQuery, ...args: unknown[]): unknown {
  const { cursor: driversOwn } = Object.getPrototypeOf(this) as DriverQuery;
  const portions = driversOwn.apply(this, args);
  if (portions === this) return this; // it has a function that reads
  const iterator = (portions as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<unknown>> => {
    const result = await iterator.next();
    if (result.done === true && this.broken !== undefined) throw this.broken;
    return result;
  };
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => T | Promise<T>) => {
    const result = last.then(step);
    last = result.catch(() => {});
    return result;
  };
  return {
    [Symbol.asyncIterator]: () => ({ next: () => inTurn(next), return: () => inTurn(() => iterator.return?.()) }),
  };
}

/** The driver hands a query over one turn after it was awaited; then a drain that begins in between would refuse it. */
function handle(this: DriverQuery): void {
  if (this.executed) return;
  this.executed = true;
  this.handler(this);
}

/** The functions of a client that make queries, with `handler` to run them. `builder` knows the types and never connects. */
export function queryMakers(
  builder: Sql,
  handler: Handler,
): Pick<Sql, "unsafe" | "file" | "notify" | "array" | "json" | "typed" | "types"> {
  const { array, json, typed, types } = builder;
  const unsafe: Sql["unsafe"] = (...args) => adopt(builder.unsafe(...args), handler);
  const notify = (channel: string, payload: string): unknown => unsafe("select pg_notify($1, $2)", [channel, payload]);
  const file = (...args: Parameters<Sql["file"]>): unknown =>
    adopt(builder.file(...args), reading(String(args[0]), handler));
  return { array, json, typed, types, unsafe, notify, file } as Pick<
    Sql,
    "unsafe" | "file" | "notify" | "array" | "json" | "typed" | "types"
  >; // the driver's own signatures
}

/** A client: the tagged template with the driver's other functions on it. */
export function makeSql<Extra extends object>(builder: Sql, handler: Handler, extra: Extra): Sql & Extra {
  const call = builder as (...args: unknown[]) => unknown; // one of its many overloads
  const sql = (...args: unknown[]): unknown => adopt(call(...args), handler);
  const made = Object.assign(sql, queryMakers(builder, handler));
  const described = Object.defineProperties(made, Object.getOwnPropertyDescriptors(extra));
  return described as Sql & Extra; // with what `extra` adds it has the members of the driver's own client of this kind
}

function reading(path: string, handler: Handler): Handler {
  return (query: DriverQuery) =>
    readFile(path, "utf8", (error, text) => {
      if (error !== null) return query.reject(error);
      query.strings = [text];
      handler(query);
    });
}
