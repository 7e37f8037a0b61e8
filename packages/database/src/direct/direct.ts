import type { Clock } from "@steward/core";
import { Connection, type ConnectionOwner } from "../connections/connection.ts";
import type { Endpoint } from "../connections/endpoint.ts";

/** Runs `work` on a connection of its own, outside the pool. It is cut off when `signal` aborts. */
export async function onDirectConnection<T>(
  { name, clock }: { readonly name: string; readonly clock: Clock },
  endpoint: Endpoint,
  options: { readonly connectTimeoutMs: number; readonly signal: AbortSignal },
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const owner: ConnectionOwner = { name, clock, closed() {} };
  const connection = new Connection(owner, endpoint);
  const cut = (): void => connection.destroy();
  options.signal.addEventListener("abort", cut, { once: true });
  try {
    await connection.open(options.connectTimeoutMs);
    return await work(connection);
  } finally {
    options.signal.removeEventListener("abort", cut);
    connection.end();
  }
}
