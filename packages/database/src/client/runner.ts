import type { PubSub, SqlRunner } from "@steward/core";
import type { ISql } from "postgres";
import { isTransaction, seamOf } from "./seam.ts";

type Raw = Pick<ISql, "unsafe">;
type Within = <T>(body: (sql: Raw & Nestable) => Promise<T>) => Promise<unknown>;
interface Nestable {
  savepoint: Within;
}

/**
 * A database, or an open transaction of it, as the port `SqlRunner`, for packages that store something in SQL. Over a
 * transaction what they store lasts when the transaction is committed, and `transaction` is a savepoint.
 *
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 *
 * @example
 * ```ts
 * import { begin, sqlRunner } from "@steward/database";
 * import { testDatabase } from "@steward/database/testing";
 *
 * await using database = await testDatabase().start();
 * await database.client.$client`create table log (text text)`;
 * await using t = await begin(database.client);
 * await sqlRunner(t).query("insert into log values ($1)", ["deleted"]);
 * await t.rollback();
 * console.log((await sqlRunner(database.client).query("select * from log")).length); // => 0
 * ```
 */
export function sqlRunner(db: { readonly $client: Raw & ({ begin: Within } | Nestable) }): SqlRunner {
  if (!isTransaction(db)) seamOf(db);
  return runnerOver(db.$client);
}

function runnerOver(sql: Raw & ({ begin: Within } | Nestable)): SqlRunner {
  const within: Within = "begin" in sql ? sql.begin : sql.savepoint;
  return {
    query: async (text, parameters = []) => sql.unsafe(text, [...parameters] as never[]) as never, // the server checks both
    transaction: <T>(work: (inner: SqlRunner) => Promise<T>) =>
      within((inner) => work(runnerOver(inner))) as Promise<T>, // it gives what `work` gave
  };
}

/**
 * A database as the port `PubSub`, over LISTEN and NOTIFY: at most once, to every listener, payloads up to 8,000 bytes.
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 */
export function pubSub(db: object): PubSub {
  return seamOf(db).pubSub;
}
