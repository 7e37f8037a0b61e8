/** Every error code of `@steward/database`, with what it means. */
export const DATABASE_CODES = {
  DATABASE_CONNECT_FAILED:
    "No connection could be made: unreachable, refused, or the credentials or database are wrong.",
  DATABASE_LEASE_ENDED:
    "A reserved connection or transaction was used after its end, or was ended for taking too long.",
  DATABASE_TRANSACTION_ABORTED:
    "A commit was asked for, but an earlier statement had failed, so the server rolled back.",
  DATABASE_TRANSACTION_LEFT_OPEN:
    "A statement began a transaction on a connection that others get next; the transaction was rolled back.",
  DATABASE_MIGRATION_FAILED: "A migration could not be applied; everything of it was rolled back.",
  DATABASE_SCHEMA_BEHIND: "Migrations are missing in the database, and this start does not apply them.",
  DATABASE_SESSION_REQUIRED:
    "It needs a session of the server for itself, which the pooler that was reached does not give.",
  DATABASE_NOT_MANAGED:
    "The database given was not made by this package, so it cannot begin transactions or have replicas.",
} as const;

/** A code that this package raises. */
export type DatabaseCode = keyof typeof DATABASE_CODES;
