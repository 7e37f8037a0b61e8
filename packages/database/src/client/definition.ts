import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll } from "@steward/core/container";
import { defineDriver, type DerivedOptions, type ManagedSettings } from "@steward/core/driver";
import { DatabasePoolManager, type Database } from "../manager.ts";
import { databaseSchema, type DatabaseInput, type Schema } from "../options.ts";

type Reach<E> = [E] extends [undefined] ? "application" : "application?";

/** Defines a database: with literal options, or with `needs` and `options` computed from them. `schema` gives the type of its tables. */
export interface DatabasePoolFactory {
  <const N extends Needs, TSchema extends Schema = Record<string, never>, E extends boolean | undefined = undefined>(
    name: string,
    given: DerivedOptions<DatabaseInput<TSchema>, N, E>,
  ): Definition<Database<TSchema>, Reach<E>, OpenOfAll<N>>;
  <TSchema extends Schema = Record<string, never>, E extends boolean | undefined = undefined>(
    name: string,
    given: DatabaseInput<TSchema> & ManagedSettings<E>,
  ): Definition<Database<TSchema>, Reach<E>>;
}

/**
 * Defines a database as a resource; its value is a drizzle database with the driver as `$client`.
 *
 * @example
 * ```ts
 * import { databasePool } from "@steward/database";
 * const db = databasePool("db", { url: "postgres://app@localhost/app", maxConnections: 20 });
 * console.log(db.name); // => db
 * ```
 */
export const databasePool: DatabasePoolFactory = defineDriver({
  kind: "database",
  schema: databaseSchema,
  // Checked options pass the check again and stay as they are.
  create: (options, context) => new DatabasePoolManager(options as DatabaseInput, context),
  inherit: ({ timeoutMs, breaker, environment }) => ({ timeoutMs, breaker, environment }),
  settings: { readiness: "startup", tags: ["database"] },
}) as DatabasePoolFactory; // the factory of core knows no schema
