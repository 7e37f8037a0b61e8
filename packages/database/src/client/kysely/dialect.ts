import {
  PostgresDialect,
  type Dialect,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
} from "kysely";
import type { ReservedSql, Sql } from "postgres";
import { seamOf } from "../seam.ts";
import { Cursor } from "./cursor.ts";

/**
 * Kysely over the connections of a database: bounded waits, deadlines, health and metrics are those of the pool, and
 * values are read as by `db.$client`. Transactions, savepoints and `stream()` work as with Kysely's own dialect.
 *
 * `destroy()` of that Kysely ends nothing: the pool is shared, and its owner stops it.
 *
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 *
 * @example
 * ```ts
 * import { kysely } from "@steward/database/kysely";
 * import { testDatabase } from "@steward/database/testing";
 * import { Kysely } from "kysely";
 *
 * interface Tables {
 *   readonly films: { readonly title: string };
 * }
 * await using database = await testDatabase().start();
 * const db = new Kysely<Tables>({ dialect: kysely(database.client) });
 * await db.schema.createTable("films").addColumn("title", "text").execute();
 * await db.insertInto("films").values({ title: "Metropolis" }).execute();
 * console.log(await db.selectFrom("films").selectAll().execute()); // => [ { title: 'Metropolis' } ]
 * ```
 */
export function kysely(db: { readonly $client: Sql }): Dialect {
  seamOf(db);
  const pool: PostgresPool & { readonly options: object } = {
    connect: async () => connectionOver(await db.$client.reserve()),
    end: () => Promise.resolve(),
    options: {},
  };
  return new PostgresDialect({ pool, cursor: Cursor });
}

/** A connection as Kysely's dialect of Postgres wants it. */
function connectionOver(sql: ReservedSql): PostgresPoolClient {
  const query = async <R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> => {
    const result = await sql.unsafe(text, [...parameters] as never[]); // the server checks them
    const command = result.command as PostgresQueryResult<R>["command"]; // Kysely compares it, and lets others be
    return { command, rowCount: result.count, rows: [...result] as R[] }; // what a row is, its caller says
  };
  const queryOrCursor = (first: string | Cursor<unknown>, parameters: readonly unknown[] = []): unknown =>
    typeof first === "string" ? query(first, parameters) : first.over(sql);
  return {
    query: queryOrCursor as PostgresPoolClient["query"], // one implementation for its two forms
    release: () => sql.release(), // which rolls back what is open; a broken connection is not used again anyway
  };
}
