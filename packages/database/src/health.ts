import type { Sql } from "postgres";

/** Asks the server for a sign of life, over a connection of the pool and through its guard, as any query would. */
export async function probeDatabase(sql: Sql, signal: AbortSignal): Promise<void> {
  const query = sql`select 1`.execute();
  const cancel = (): void => query.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    await query;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
