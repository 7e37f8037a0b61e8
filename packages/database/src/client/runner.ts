import type { PubSub, SqlRunner } from "@steward/core";
import type { ISql } from "postgres";
import { seamOf } from "./seam.ts";

type Raw = Pick<ISql, "unsafe">;

/**
 * A database as the port `SqlRunner`, for packages that store something in SQL.
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 */
export function sqlRunner(db: {
  readonly $client: Raw & { begin<T>(body: (sql: Raw) => Promise<T>): Promise<unknown> };
}): SqlRunner {
  seamOf(db);
  const runner = (sql: Raw, transaction: SqlRunner["transaction"]): SqlRunner => ({
    query: async (text, parameters = []) => sql.unsafe(text, [...parameters] as never[]) as never, // the server checks both
    transaction,
  });
  const nested: SqlRunner["transaction"] = () => Promise.reject(new TypeError("already in a transaction"));
  const transaction = <T>(work: (inner: SqlRunner) => Promise<T>): Promise<T> =>
    db.$client.begin((sql) => work(runner(sql, nested))) as Promise<T>; // `begin` gives what `work` gave
  return runner(db.$client, transaction);
}

/**
 * A database as the port `PubSub`, over LISTEN and NOTIFY: at most once, to every listener, payloads up to 8,000 bytes.
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 */
export function pubSub(db: object): PubSub {
  return seamOf(db).pubSub;
}
