import { READS_ONLY } from "@steward/core/driver";
import { connectFailed, readsOnly } from "./errors.ts";
import type { Connections } from "./pool/connections.ts";
import { askDirectly, type DirectBounds } from "./pool/direct.ts";
import { cutOff } from "./pool/raw-client.ts";

/**
 * Asks the server for a sign of life: over an idle connection of the pool, or over one of its own where all are at work, so
 * that a busy pool is not taken for a dead server.
 */
export async function probe(resource: string, connections: Connections, bounds: DirectBounds): Promise<void> {
  const { pool } = connections;
  if (connections.server !== undefined && pool.idleCount === 0) return ask(resource, connections, bounds);
  const client = await connections.connect();
  const cut = (): void => cutOff(client, new Error("it gave no answer to a probe"));
  bounds.signal?.addEventListener("abort", cut, { once: true });
  client.on("error", cut);
  try {
    await client.query("select 1");
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  } finally {
    client.removeListener("error", cut);
    bounds.signal?.removeEventListener("abort", cut);
  }
}

/** Asks the server over a connection of its own: those that calls use, or wait for, may be what is dead. Of several hosts one that will do is enough. */
export async function ask(resource: string, connections: Connections, bounds: DirectBounds): Promise<void> {
  const { server, pool } = connections;
  if (server === undefined) return void (await pool.query("select 1"));
  try {
    await connections.anywhere(async (host) => {
      const [row] = await askDirectly<{ readonly reads_only: boolean }>(host, bounds, `select ${READS_ONLY}`);
      if (server.isWriting && row?.reads_only === true) throw readsOnly();
    }, bounds.signal);
  } catch (error) {
    throw connectFailed(resource, server.label, error);
  }
}
