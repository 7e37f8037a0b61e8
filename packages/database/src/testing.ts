import type { ManagerContext } from "@steward/core/driver";
import { DatabasePoolManager } from "./manager.ts";
import type { DatabaseInput, Schema } from "./options.ts";

/** Options of a database for tests: all but where it is. */
export type TestDatabaseInput<TSchema extends Schema> = Omit<
  DatabaseInput<TSchema>,
  "url" | "host" | "port" | "user" | "password" | "database" | "tls" | "client" | "replicas"
>;

/**
 * A database for tests: a real Postgres inside this process (PGlite), in memory, with one connection. The same
 * drizzle, the same client, the same errors; no server. Needs `@electric-sql/pglite`.
 *
 * @example
 * ```ts
 * import { testDatabase } from "@steward/database/testing";
 *
 * await using database = await testDatabase().start();
 * console.log((await database.client.$client`select 1 as one`)[0]?.["one"]); // => 1
 * ```
 */
export function testDatabase<TSchema extends Schema = Record<string, never>>(
  options: TestDatabaseInput<TSchema> = {},
  context?: ManagerContext,
): DatabasePoolManager<TSchema> {
  const input = { embedded: {}, ...options } as DatabaseInput<TSchema>; // the rest has defaults
  return new DatabasePoolManager(input, context);
}
