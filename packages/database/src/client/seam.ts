import { StewardError, type CallOptions, type Clock, type PubSub } from "@steward/core";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import type { Schema } from "../options.ts";
import type { Lease } from "./lease.ts";
import type { DrizzleClient } from "./scope.ts";

/** What a database of ours can do beyond drizzle, for the functions of this package. */
export interface Seam {
  readonly name: string;
  readonly clock: Clock;
  readonly builder: Sql;
  /** Takes a connection for one user. */
  acquire(call?: CallOptions): Promise<Lease>;
  /** Makes a drizzle database, with the same tables and settings, over another client. */
  over(client: DrizzleClient): PostgresJsDatabase<Schema>;
  readonly pubSub: PubSub;
  /** The database that reads from replicas; itself where there are none. */
  readonly reader: object;
}

const SEAM = Symbol.for("steward.database.seam");

/** Marks a database as ours. */
export function attachSeam(database: object, seam: Seam): void {
  Object.defineProperty(database, SEAM, { value: seam });
}

const TRANSACTION = Symbol.for("steward.database.transaction");

/** Marks an open transaction as ours. */
export function markTransaction(transaction: object): void {
  Object.defineProperty(transaction, TRANSACTION, { value: true });
}

/** Whether it is an open transaction of a database of ours. */
export function isTransaction(value: object): boolean {
  return TRANSACTION in value;
}

/**
 * The seam of a database.
 * @throws {DATABASE_NOT_MANAGED} when it was not made by this package.
 */
export function seamOf(database: object): Seam {
  const seam = (database as { [SEAM]?: Seam })[SEAM]; // set by `attachSeam` alone
  if (seam !== undefined) return seam;
  throw new StewardError(
    "DATABASE_NOT_MANAGED",
    "this database was not made by @steward/database: pass the value of databasePool(...) or DatabasePoolManager.client, and not a transaction of it",
  );
}
