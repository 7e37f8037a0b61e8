import { defineTestDriver, optionsWithout, type TestFactory } from "@steward/core/driver";
import type { Pool } from "pg";
import { pgPool, PgPoolManager } from "./manager.ts";
import type { PgPoolOptions } from "./options.ts";

/** Options of a pool for tests: where the server is. */
export type TestPgOptions = Omit<PgPoolOptions, "client">;

const OF_SERVER = ["url", "host", "port", "user", "password", "database", "session", "tls", "client"];

/**
 * A pool for tests: the real one at a server of yours, with few connections and short waits.
 * `testPg.definition(pool, { url })` takes the place of a pool in a container.
 *
 * @example
 * ```ts needs=postgres
 * import { container } from "@steward/container";
 * import { pgPool } from "@steward/pg";
 * import { testPg } from "@steward/pg/testing";
 * const pool = pgPool("pool", { url: "postgres://app@db.internal/app" });
 * const app = container([pool]).override(pool, testPg.definition(pool, { url: process.env["DATABASE_URL"] ?? "" }));
 * await using running = await app.start();
 * console.log((await running.get(pool).query("select 1 as one")).rows[0].one); // => 1
 * ```
 */
export const testPg: TestFactory<TestPgOptions, Pool, PgPoolManager> = defineTestDriver({
  define: (name) => pgPool(name, {}),
  keep: (given) => optionsWithout(given, OF_SERVER),
  create: (options, context) =>
    new PgPoolManager({ maxConnections: 2, acquireTimeoutMs: 1_000, connectTimeoutMs: 1_000, ...options }, context),
});
