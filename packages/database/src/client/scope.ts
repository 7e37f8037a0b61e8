import { currentContext, runWithContext } from "@steward/core";
import type { Sql, TransactionSql } from "postgres";
import { isAborted, isAnswer, rawQuery, type Handler } from "../connections/driver.ts";
import { outside } from "../connections/outside.ts";
import type { Lease } from "./lease.ts";
import { adopt, makeSql } from "./sql.ts";
import { submit } from "./work.ts";

/** A body of a transaction; an array of queries is awaited as a whole, as in postgres.js. */
export type Body<C, T> = (client: C) => T | Promise<T>;

/** The part of a client of postgres.js that drizzle uses. */
export interface DrizzleClient {
  readonly options: { readonly parsers: Record<string, unknown>; readonly serializers: Record<string, unknown> };
  unsafe: Sql["unsafe"];
  begin<T>(body: Body<DrizzleClient, T>): Promise<T>;
  savepoint<T>(body: Body<DrizzleClient, T>): Promise<T>;
}

/** The same as drizzle's own function takes it. */
export function forDrizzle(client: DrizzleClient): Sql {
  return client as unknown as Sql; // its type asks for the whole client, drizzle uses only this part
}

/** A transaction, or a savepoint within one: what its statements run on, and whether one of them has failed. */
export class Scope {
  readonly #lease: Lease;
  readonly #builder: Sql;
  readonly #counter: { savepoints: number };
  #prepareAs: string | undefined;
  /** The first error of a statement: the server refuses all later ones until a rollback. */
  failure: unknown = undefined;

  constructor(lease: Lease, builder: Sql, counter: { savepoints: number } = { savepoints: 0 }) {
    this.#lease = lease;
    this.#builder = builder;
    this.#counter = counter;
  }

  /** Hands statements to the lease and remembers the first that fails. */
  handler(asText: boolean): Handler {
    return (query) => {
      const { reject } = query;
      query.reject = (error) => {
        this.failure ??= error;
        reject(error);
      };
      submit(this.#lease, query, asText);
    };
  }

  /** Runs a statement of our own. */
  run(text: string): Promise<unknown> {
    const query = adopt(rawQuery(this.#builder, text), (q) => submit(this.#lease, q, false));
    return Promise.resolve(query.execute());
  }

  /**
   * Runs a statement of our own that begins or ends the transaction. Where the server has not answered, because time was up or the
   * statement was refused here, it is undone: the next user would find itself in it.
   */
  async turn(text: string): Promise<unknown> {
    try {
      return await this.run(text);
    } catch (error) {
      if (!isAnswer(error)) await this.undo().catch(() => {});
      throw error;
    }
  }

  /** Undoes it, also where its caller has no time left. Where that cannot be done, its connection is not used again. */
  undo(text = "rollback"): Promise<unknown> {
    const { requestId, traceContext, actor } = currentContext() ?? {};
    return outside(() => runWithContext({ requestId, traceContext, actor }, () => this.#undo(text)));
  }

  async #undo(text: string): Promise<unknown> {
    try {
      return await this.run(text);
    } catch (error) {
      if (!isAnswer(error)) this.#lease.discard(error);
      throw error;
    }
  }

  /** Runs `body` and commits, or rolls back when it or one of its statements fails. */
  async commitAfter<C, T>(body: Body<C, T>, client: C): Promise<T> {
    const result = await this.#attempt(body, client, "rollback");
    await this.turn(this.#prepareAs === undefined ? "commit" : `prepare transaction '${this.#prepareAs}'`);
    return result;
  }

  async #attempt<C, T>(body: Body<C, T>, client: C, undo: string): Promise<T> {
    try {
      const made = body(client);
      const result = await (Array.isArray(made) ? (Promise.all(made) as Promise<T>) : made); // an array stands for its results
      if (this.failure !== undefined) throw this.failure;
      return result;
    } catch (error) {
      // The first error says more than that of the rollback, which fails on a broken connection.
      await this.undo(undo).catch(() => {});
      throw isAborted(error) ? (this.failure ?? error) : error;
    }
  }

  async #savepoint<C, T>(name: string, body: Body<C, T>, client: (inner: Scope) => C): Promise<T> {
    const inner = new Scope(this.#lease, this.#builder, this.#counter);
    const savepoint = `"${`s${this.#counter.savepoints++}${name === "" ? "" : `_${name}`}`.replaceAll('"', '""')}"`;
    await this.run(`savepoint ${savepoint}`);
    return inner.#attempt(body, client(inner), `rollback to ${savepoint}`);
  }

  /** The raw client of this scope. */
  sql(): TransactionSql {
    const savepoint = <T>(...args: [Body<TransactionSql, T>] | [string, Body<TransactionSql, T>]): Promise<T> => {
      const [name, body] = args.length === 1 ? ["", args[0]] : args;
      return this.#savepoint(name, body, (inner) => inner.sql());
    };
    const prepare = (name: string): void => void (this.#prepareAs = name.replace(/[^a-z0-9$\-_. ]/gi, ""));
    return makeSql(this.#builder, this.handler(false), { savepoint, prepare }) as unknown as TransactionSql; // the driver's own members, with its generic promises
  }

  /** What drizzle gets for a client in this scope. */
  drizzleClient(): DrizzleClient {
    const handler = this.handler(true);
    const nested = <T>(body: Body<DrizzleClient, T>): Promise<T> =>
      this.#savepoint("", body, (inner) => inner.drizzleClient());
    const unsafe: Sql["unsafe"] = (...args) => adopt(this.#builder.unsafe(...args), handler);
    return { options: { parsers: {}, serializers: {} }, unsafe, begin: nested, savepoint: nested };
  }
}
