export { migrate } from "./client/migrate-job.ts";
export { replica } from "./client/replica.ts";
export { pubSub, sqlRunner } from "./client/runner.ts";
export {
  DATABASE_CHANNELS,
  type LeakEvent,
  type LostConnectionEvent,
  type OvercommitEvent,
} from "./connections/events.ts";
export { DATABASE_CODES, type DatabaseCode } from "./errors.ts";
export { type Database, DatabasePoolManager } from "./manager.ts";
export { databasePool, type DatabasePoolFactory } from "./client/definition.ts";
export type { TlsOption, TlsSettings } from "@steward/core/driver";
export { databaseUrlProblem, type DatabaseInput, type MigrationOptions, type Schema } from "./options.ts";
export { begin, type BeginOptions, type OpenTransaction, type TransactionEnd } from "./transactions/begin.ts";
export type { TransactionSettings } from "./transactions/isolation.ts";
export { transaction, type TransactionOptions, type TransactionRetry } from "./transactions/transaction.ts";
