import type { Definition } from "@steward/core";
import type { Pool } from "pg";
import { pgPool } from "./manager.ts";
import type { PgPoolOptions } from "./options.ts";

/** Options of a pool for tests: where the server is. */
export type TestPgOptions = Omit<PgPoolOptions, "client"> & { readonly url: string };

/**
 * A pool for tests, for `container.override`: the real one at a server of yours, with few connections and short waits.
 *
 * @example
 * ```ts needs=postgres
 * import { container } from "@steward/container";
 * import { pgPool } from "@steward/pg";
 * import { testPg } from "@steward/pg/testing";
 * const pool = pgPool("pool", { url: "postgres://app@db.internal/app" });
 * const app = container([pool]).override(pool, testPg({ url: process.env["DATABASE_URL"] ?? "" }));
 * await using running = await app.start();
 * console.log((await running.get(pool).query("select 1 as one")).rows[0].one); // => 1
 * ```
 */
export function testPg(options: TestPgOptions, name = "pg"): Definition<Pool> {
  return pgPool(name, { maxConnections: 2, acquireTimeoutMs: 1_000, connectTimeoutMs: 1_000, ...options });
}
