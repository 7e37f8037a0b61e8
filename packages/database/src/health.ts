import type { Sql } from "postgres";
import type { Pool } from "./connections/pool.ts";
import { onDirectConnection } from "./direct/direct.ts";

/** How long a probe may take. */
export interface ProbeBounds {
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks the server for a sign of life: over an idle connection of the pool, or over one of its own where all are at
 * work, so that a busy pool is not taken for a dead server. One that gives no answer is cut off.
 */
export async function probePool(pool: Pool, bounds: ProbeBounds): Promise<void> {
  await askPool(pool, bounds, "select 1");
}

/** Asks the server of a pool something, past the guard. An embedded server that is at work gives no rows. */
export async function askPool(
  pool: Pool,
  { connectTimeoutMs, signal }: ProbeBounds,
  text: string,
): Promise<readonly Record<string, unknown>[]> {
  const connection = pool.borrow();
  if (connection === undefined) return askAnew(pool, { connectTimeoutMs, signal }, text);
  const cut = (): void => connection.destroy();
  signal.addEventListener("abort", cut, { once: true });
  try {
    return await connection.query(text);
  } finally {
    signal.removeEventListener("abort", cut);
    pool.release(connection);
  }
}

/** Asks the server for a sign of life over a connection of its own. */
export async function askServer(pool: Pool, bounds: ProbeBounds): Promise<void> {
  await askAnew(pool, bounds, "select 1");
}

async function askAnew(pool: Pool, bounds: ProbeBounds, text: string): Promise<readonly Record<string, unknown>[]> {
  // An embedded one has no second connection, and lives as long as we do.
  for (const connection of pool.connections) if (connection.embedded) return [];
  return onDirectConnection(pool, pool.endpoint, bounds, (connection) => connection.query(text));
}

/** Asks over a client that was handed over. */
export async function probeClient(client: Sql, signal: AbortSignal): Promise<void> {
  const query = client`select 1`.execute();
  const cancel = (): void => query.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    await query;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
