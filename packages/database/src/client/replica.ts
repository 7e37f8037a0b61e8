import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Schema } from "../options.ts";
import { seamOf } from "./seam.ts";

/**
 * The same database, read from its replicas: from one whose lag is at most `maxReplicaLagMs`, else from the primary.
 * It may not show what was written a moment ago. Without `replicas` it is `db` itself.
 *
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 *
 * @example
 * ```ts
 * import { sql } from "drizzle-orm";
 * import { replica } from "@steward/database";
 * import { testDatabase } from "@steward/database/testing";
 *
 * await using database = await testDatabase().start();
 * console.log((await replica(database.client).execute(sql`select 1 as one`))[0]?.["one"]); // => 1
 * ```
 */
export function replica<D extends PostgresJsDatabase<Schema> | PostgresJsDatabase>(db: D): D {
  return seamOf(db).reader as D; // made like `db`, over other connections
}
