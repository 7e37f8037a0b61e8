import type { Connection } from "../connections/connection.ts";
import { publishOvercommit } from "../connections/events.ts";

/** What is compared with the server's limit. */
export interface Capacity {
  readonly instances: number;
  readonly maxConnections: number;
}

/** Announces when all instances together may open more connections than the server allows. */
export async function checkCapacity(
  resource: string,
  connection: Pick<Connection, "query">,
  { instances, maxConnections }: Capacity,
): Promise<void> {
  const [row] = await connection.query(
    "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as allowed",
  );
  const allowed = Number(row?.["allowed"]);
  const wanted = instances * maxConnections;
  if (wanted > allowed) publishOvercommit({ resource, wanted, allowed });
}
