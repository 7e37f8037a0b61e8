import { createHash } from "node:crypto";
import { StewardError, type Clock } from "@steward/core";
import { backoffMs, describeError } from "@steward/core/driver";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import type { Sql } from "postgres";
import { adopt } from "../client/sql.ts";
import { forDrizzle, type Body, type DrizzleClient } from "../client/scope.ts";
import type { Connection } from "../connections/connection.ts";
import type { Handler } from "../connections/driver.ts";
import type { Endpoint } from "../connections/endpoint.ts";
import type { Migrations } from "../options.ts";
import { onDirectConnection } from "./direct.ts";

const POLL_MS = 100;
/** Pauses of a migration that has given way. */
const LOCK_PAUSES = { minMs: 200, maxMs: 3_000 };

/** What migrating needs besides the migrations. */
export interface MigrationContext {
  readonly name: string;
  readonly clock: Clock;
  readonly builder: Sql;
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Applies the migrations that are missing, on one connection of its own and under an advisory lock: of many instances
 * that start at once, one migrates and the others wait.
 *
 * @throws {DATABASE_MIGRATION_FAILED} when one cannot be applied.
 */
export async function runMigrations(
  context: MigrationContext,
  endpoint: Endpoint,
  migrations: Migrations,
): Promise<void> {
  await onDirectConnection(context, endpoint, context, (connection) =>
    migrations.mode === "apply"
      ? applyPatiently(context, connection, migrations)
      : awaitSchema(context, connection, migrations),
  );
}

/** A migration that waits for a lock makes all wait that come after it, so it gives way, and tries again. */
async function applyPatiently(
  context: MigrationContext,
  connection: Connection,
  migrations: Migrations,
): Promise<void> {
  const { clock, signal } = context;
  for (let attempt = 0; ;) {
    try {
      if (await applyAlone(context, connection, migrations)) return;
      // Asked again and again instead of waiting in the server, where a waiting statement would hold up index builds.
      await clock.sleep(POLL_MS, signal);
    } catch (error) {
      if (!isLockTimeout(error) || signal.aborted) throw error;
      await clock.sleep(backoffMs(++attempt, LOCK_PAUSES, "equal"), signal);
    }
  }
}

/**
 * Applies them unless another instance does so now. The lock and the settings are those of one transaction, so that they hold
 * through a pooler too, which may give us another session after each.
 */
async function applyAlone(context: MigrationContext, connection: Connection, migrations: Migrations): Promise<boolean> {
  await connection.query("begin");
  try {
    const [row] = await connection.query(`select pg_try_advisory_xact_lock(${lockKey(migrations)}) as locked`);
    const isAlone = row?.["locked"] === true;
    if (isAlone) {
      // A migration may take long, whatever queries are allowed.
      await connection.query(
        `set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; set local lock_timeout = ${migrations.lockTimeoutMs}`,
      );
      await apply(context, connection, migrations);
    }
    await connection.query("commit");
    return isAlone;
  } catch (error) {
    if (!connection.dead) await connection.query("rollback").catch(() => {});
    throw error;
  }
}

function isLockTimeout(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if ("code" in at && at.code === "55P03") return true;
  return false;
}

/** Waits until the migrations of the folder have been applied by a job of their own, or fails where they have not. */
async function awaitSchema(context: MigrationContext, connection: Connection, migrations: Migrations): Promise<void> {
  const { name, clock, signal } = context;
  const [wanted] = readMigrationFiles({ migrationsFolder: migrations.folder }).slice(-1);
  for (;;) {
    const applied = await lastApplied(connection, migrations);
    if (wanted === undefined || applied >= wanted.folderMillis) return;
    if (migrations.mode === "check") {
      const message = `${name}: the database is behind the migrations of ${migrations.folder}; run migrate() first, or let starts do it with mode: "apply"`;
      throw new StewardError("DATABASE_SCHEMA_BEHIND", message, { resource: name, retryable: true });
    }
    await clock.sleep(POLL_MS, signal);
  }
}

/** When the last migration that was applied had been made; -1 when none was. */
async function lastApplied(connection: Connection, { schema, table }: Migrations): Promise<number> {
  try {
    const [row] = await connection.query(
      `select max(created_at)::float8 as last from ${quoted(schema)}.${quoted(table)}`,
    );
    return Number(row?.["last"] ?? -1);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "42P01") return -1;
    throw error;
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function apply(
  { name, builder }: MigrationContext,
  connection: Connection,
  { folder, table, schema }: Migrations,
): Promise<void> {
  const db = drizzle(forDrizzle(clientOf(connection, builder)));
  try {
    await migrate(db, { migrationsFolder: folder, migrationsTable: table, migrationsSchema: schema });
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new StewardError(
      "DATABASE_MIGRATION_FAILED",
      `${name}: migrations of ${folder} failed: ${describeError(cause)}`,
      { resource: name, cause: error },
    );
  }
}

/** A client over one connection of ours, for the migrator alone: it runs one statement at a time, within our transaction. */
function clientOf(connection: Connection, builder: Sql): DrizzleClient {
  const handler: Handler = (query) => {
    const { resolve, reject } = query;
    connection.run(query, { asText: true, finished: resolve, failed: reject });
  };
  const unsafe: Sql["unsafe"] = (...args) => adopt(builder.unsafe(...args), handler);
  const begin = <T>(body: Body<DrizzleClient, T>): Promise<T> => Promise.resolve(body(client));
  const client: DrizzleClient = { options: { parsers: {}, serializers: {} }, unsafe, begin, savepoint: begin };
  return client;
}

/** Two databases that share a server and a table name do not share the lock: the server keeps locks per database. */
function lockKey({ schema, table }: Migrations): string {
  return createHash("sha256").update(`steward:${schema}.${table}`).digest().readBigInt64BE(0).toString();
}
