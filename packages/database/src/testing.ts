import { defineTestDriver, optionsWithout, type ManagerContext } from "@steward/core/driver";
import type { Definition } from "@steward/core";
import { databasePool } from "./client/definition.ts";
import { DatabasePoolManager, type Database } from "./manager.ts";
import type { DatabaseInput, Schema } from "./options.ts";

const OF_SERVER = [
  "url",
  "embedded",
  "host",
  "port",
  "user",
  "password",
  "database",
  "tls",
  "client",
  "replicas",
] as const;

/** Options of a database for tests: all but where it is. */
export type TestDatabaseInput<TSchema extends Schema> = Omit<DatabaseInput<TSchema>, (typeof OF_SERVER)[number]>;

/** What {@link testDatabase} is, with the type of tables. */
export interface TestDatabase {
  /** A database to use alone; it must be started. */
  <TSchema extends Schema = Record<string, never>>(
    options?: TestDatabaseInput<TSchema>,
    context?: ManagerContext,
  ): DatabasePoolManager<TSchema>;
  /** A definition for `override`: of a name, or in the place of another definition, whose needs, settings and options stay. */
  definition<
    TSchema extends Schema = Record<string, never>,
    R extends string = "application",
    Open extends string = never,
  >(
    of: string | Definition<Database<TSchema>, R, Open>,
    options?: TestDatabaseInput<TSchema>,
  ): Definition<Database<TSchema>, R, Open>;
}

/**
 * A database for tests: a real Postgres inside this process (PGlite), in memory, with one connection. The same
 * drizzle, the same client, the same errors; no server. Needs `@electric-sql/pglite`. `testDatabase.definition(db)` takes
 * the place of a database in a container, with its schema and migrations.
 *
 * @example
 * ```ts
 * import { testDatabase } from "@steward/database/testing";
 *
 * await using database = await testDatabase().start();
 * console.log((await database.client.$client`select 1 as one`)[0]?.["one"]); // => 1
 * ```
 */
export const testDatabase: TestDatabase = defineTestDriver({
  define: (name) => databasePool(name, { embedded: {} }),
  keep: (given) => optionsWithout(given, OF_SERVER),
  create: (options, context) => new DatabasePoolManager({ embedded: {}, ...options } as DatabaseInput, context), // the rest has defaults
}) as TestDatabase; // its tables are those of the options
