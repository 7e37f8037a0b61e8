import { checkOptions, type ManagerContext } from "@steward/core/driver";
import { DatabasePoolManager } from "../manager.ts";
import { databaseSchema, type DatabaseInput, type Schema } from "../options.ts";

/**
 * Applies the migrations that are missing, and ends: the job that runs before a deploy, where starts have `mode: "wait"` or `"check"`. Of several
 * at once one does it. It gives way to traffic as a start does.
 *
 * @param options those of the database, `migrations` included.
 * @param context `startTimeoutMs` is how long it may take. Default 10 minutes.
 * @throws {OPTIONS_INVALID} when the options are wrong.
 * @throws {DATABASE_MIGRATION_FAILED} when one cannot be applied.
 * @throws {START_TIMEOUT} when there was no lock in that time.
 *
 * @example
 * ```ts fragment
 * await migrate({ url: process.env["DATABASE_URL"], migrations: "migrations" });
 * ```
 */
export async function migrate<TSchema extends Schema = Record<string, never>>(
  options: DatabaseInput<TSchema>,
  context: ManagerContext = {},
): Promise<void> {
  const { migrations } = checkOptions(context.name ?? "database", databaseSchema, options);
  const applying =
    migrations === undefined ? options : { ...options, migrations: { ...migrations, mode: "apply" as const } };
  await using _database = await new DatabasePoolManager(applying, { startTimeoutMs: JOB_MS, ...context }).start();
}

const JOB_MS = 600_000;
