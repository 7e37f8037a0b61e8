export { PG_CODES, type PgCode } from "./errors.ts";
export { pgPool, PgPoolManager } from "./manager.ts";
export type { TlsOption, TlsSettings } from "@steward/core/driver";
export type { PgPoolOptions } from "./options.ts";
