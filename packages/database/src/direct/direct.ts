import type { Clock } from "@steward/core";
import { Connection, type ConnectionOwner } from "../connections/connection.ts";
import type { Endpoint } from "../connections/endpoint.ts";

/** Runs `work` on a connection of its own, outside the pool, to the first host that takes one. It is cut off when `signal` aborts. */
export async function onDirectConnection<T>(
  { name, clock }: { readonly name: string; readonly clock: Clock },
  endpoint: Endpoint,
  options: { readonly connectTimeoutMs: number; readonly signal: AbortSignal },
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const owner: ConnectionOwner = { name, clock, closed() {} };
  for (let hosts = endpoint.hosts; ; hosts--) {
    const connection = new Connection(owner, endpoint);
    const cut = (): void => connection.destroy();
    options.signal.addEventListener("abort", cut, { once: true });
    let isOpen = false;
    try {
      await connection.open(options.connectTimeoutMs);
      isOpen = true;
      return await work(connection);
    } catch (error) {
      if (isOpen || hosts <= 1 || options.signal.aborted) throw error;
    } finally {
      options.signal.removeEventListener("abort", cut);
      connection.end();
    }
  }
}
