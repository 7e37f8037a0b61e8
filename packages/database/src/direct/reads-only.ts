import { StewardError } from "@steward/core";

/**
 * Whether a server takes no writes: it follows another one, or its configuration says so. A transaction that is read only by itself
 * says nothing of it.
 */
export const READS_ONLY = "pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool as reads_only";

/** A write was refused, because the transaction or the server is read only. */
export function isWriteRefused(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "25006";
}

/** The server takes no writes, and one that does is wanted: another host may be it. */
export function readsOnly(resource: string): StewardError {
  const message = `${resource}: the server takes no writes (a standby, or default_transaction_read_only), and session is "read-write"`;
  return new StewardError("DATABASE_CONNECT_FAILED", message, { resource, retryable: true });
}
