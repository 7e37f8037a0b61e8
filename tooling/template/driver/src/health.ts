import type { Connection } from "./connection.ts";

/** What the remote is asked when no call has shown how it is. */
export function probe(connection: Connection, signal: AbortSignal): Promise<void> {
  return connection.ping(signal);
}
