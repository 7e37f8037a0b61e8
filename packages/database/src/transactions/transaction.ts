import type { Clock } from "@steward/core";
import { backoffMs, assertShape, milliseconds, shape, wholeNumber } from "@steward/core/driver";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import { seamOf } from "../client/seam.ts";
import type { Schema } from "../options.ts";
import { beginLeased, beginRules, type BeginOptions, type OpenTransaction } from "./begin.ts";

/** When a transaction is run again. */
export interface TransactionRetry {
  /** Runs in all, the first one counted. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Longest pause before the second run, in ms; it doubles each time, with full jitter, up to 1,000. Default 20. */
  readonly baseDelayMs?: number | undefined;
}

/** Settings of a transaction that is run as a whole. */
export interface TransactionOptions extends BeginOptions {
  /** Runs it again after a serialization failure or a deadlock. Default: never, for `work` may do more than SQL. */
  readonly retry?: TransactionRetry | undefined;
}

const transactionShape = shape<TransactionOptions>(() => ({
  ...beginRules(),
  retry: shape<TransactionRetry>(() => ({ maxAttempts: wholeNumber(1), baseDelayMs: milliseconds(0) })),
}));

const LONGEST_PAUSE_MS = 1_000;

/**
 * Runs `work` in a transaction: committed when it resolves, rolled back when it rejects, and with `retry` run again
 * as a whole when the server asks for that (`40001` serialization failure, `40P01` deadlock).
 *
 * @example
 * ```ts
 * import { sql } from "drizzle-orm";
 * import { transaction } from "@steward/database";
 * import { testDatabase } from "@steward/database/testing";
 *
 * await using manager = await testDatabase().start();
 * const rows = await transaction(manager.client, (t) => t.execute(sql`select 1 as one`), { isolationLevel: "serializable", retry: {} });
 * console.log(rows[0]?.["one"]); // => 1
 * ```
 */
export async function transaction<TSchema extends Schema, T>(
  db: PostgresJsDatabase<TSchema>,
  work: (t: OpenTransaction<TSchema>) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const { retry, ...settings } = options;
  const { clock, name } = seamOf(db);
  assertShape(`${name}: transaction`, transactionShape, options);
  const maxAttempts = retry === undefined ? 1 : (retry.maxAttempts ?? 3);
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(db, work, settings);
    } catch (error) {
      if (attempt >= maxAttempts || !asksForRetry(error)) throw error;
      await pause(clock, attempt, retry?.baseDelayMs ?? 20, options.signal);
    }
  }
}

async function once<TSchema extends Schema, T>(
  db: PostgresJsDatabase<TSchema>,
  work: (t: OpenTransaction<TSchema>) => Promise<T>,
  options: BeginOptions,
): Promise<T> {
  const { open, lease } = await beginLeased(db, options);
  await using t = open;
  return await lease.run(async () => {
    const result = await work(t);
    await t.commit();
    return result;
  });
}

function pause(clock: Clock, attempt: number, baseDelayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return clock.sleep(backoffMs(attempt - 1, { minMs: baseDelayMs, maxMs: LONGEST_PAUSE_MS }, "full"), signal);
}

/** drizzle wraps the server's error, and a failed commit has the statement's as its cause. */
function asksForRetry(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++)
    if ("code" in cause && (cause.code === "40001" || cause.code === "40P01")) return true;
  return false;
}
