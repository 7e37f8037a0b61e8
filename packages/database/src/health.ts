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
export async function probePool(pool: Pool, { connectTimeoutMs, signal }: ProbeBounds): Promise<void> {
  const connection = pool.borrow();
  if (connection === undefined) return probeAnew(pool, { connectTimeoutMs, signal });
  const cut = (): void => connection.destroy();
  signal.addEventListener("abort", cut, { once: true });
  try {
    await connection.query("select 1");
  } finally {
    signal.removeEventListener("abort", cut);
    pool.release(connection);
  }
}

async function probeAnew(pool: Pool, bounds: ProbeBounds): Promise<void> {
  // An embedded one has no second connection, and lives as long as we do.
  for (const connection of pool.connections) if (connection.embedded) return;
  await onDirectConnection(pool, pool.endpoint, bounds, (connection) => connection.query("select 1"));
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
