import { connectFailed } from "./errors.ts";
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
  const client = await pool.connect();
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

/** Asks the server over a connection of its own: those that calls use, or wait for, may be what is dead. */
export async function ask(resource: string, { server, pool }: Connections, bounds: DirectBounds): Promise<void> {
  if (server === undefined) return void (await pool.query("select 1"));
  try {
    await askDirectly(server, bounds, "select 1");
  } catch (error) {
    throw connectFailed(resource, server.label, error);
  }
}
