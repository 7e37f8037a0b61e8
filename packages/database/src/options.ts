import type { Secret, SecretSource } from "@steward/core";
import {
  countSchema as count,
  functionSchema,
  givenSchema,
  hasAny,
  hasMethods,
  msSchema,
  parsePostgresUrl,
  POSTGRES_PARTS,
  POSTGRES_RULES,
  postgresEntries,
  postgresUrlProblem,
  postgresUrlSchema,
  rulesBetween,
  type CheckedPostgresOptions,
  type OptionsRule,
  type PostgresPoolOptions,
  type PostgresServerOptions,
  type TlsOption,
} from "@steward/core/driver";
import type { Logger } from "drizzle-orm";
import type { PostgresType, Sql } from "postgres";
import * as v from "valibot";

/** Tables and relations, as drizzle takes them. */
export type Schema = Record<string, unknown>;

/** Migrations that are applied at start. */
export interface MigrationOptions {
  /** Folder that drizzle-kit wrote, with `meta/_journal.json`. */
  readonly folder: string;
  /** Table that remembers what was applied. Default `__drizzle_migrations`. */
  readonly table?: string | undefined;
  /** Schema of that table. Default `drizzle`. */
  readonly schema?: string | undefined;
  /**
   * What a start does: `apply` applies what is missing; `wait` waits until a job of its own has (see `migrate`), as long as the start may
   * take; `check` fails at once with `DATABASE_SCHEMA_BEHIND`. Default `apply`.
   */
  readonly mode?: "apply" | "wait" | "check" | undefined;
  /**
   * Longest wait of a migration for a lock of the server, in ms: what comes after it waits too, so traffic stands still for no longer. Then it is
   * rolled back, and tried again after a pause until the start is over. 0: no limit. Default 1,000.
   */
  readonly lockTimeoutMs?: number | undefined;
  /** URL of the server itself where `url` is that of a pooler: a migration may take longer than a pooler allows. Default: the same server. */
  readonly url?: SecretSource | Secret | undefined;
}

/** How to connect to one server. */
interface ServerOptions extends PostgresServerOptions {
  /** TLS. Default: what `sslmode` in the URL says, else `PGSSLMODE`, else none. */
  readonly tls?: TlsOption | undefined;
  /** A Postgres inside this process (PGlite), in a folder or in memory. It has one connection. Needs `@electric-sql/pglite`. */
  readonly embedded?: { readonly dataDir?: string | undefined } | undefined;
  /** A client of postgres.js that is yours: it is looked after, but never closed. Instead of all other ways to connect. */
  readonly client?: Sql | undefined;
}

/** Bounds of a pool. Durations are in ms. */
interface PoolBounds extends PostgresPoolOptions {
  /** Most connections of this pool. Default 10; for `embedded` 1. */
  readonly maxConnections?: number | undefined;
  /** Longest connect, login included. Default 5,000, or `timeoutMs` where that is less, but at least 1,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Longest transaction or reservation; then its connection is closed, which rolls back. 0: no limit. Default 0. */
  readonly transactionTimeoutMs?: number | undefined;
  /** Time after which a held transaction or reservation is reported on `DATABASE_CHANNELS.leak`. 0: never. Default 60,000. */
  readonly leakThresholdMs?: number | undefined;
}

/** What each connection asks of the server. */
interface SessionOptions<TSchema extends Schema> {
  /** `idle_in_transaction_session_timeout` of the server, in ms. 0: none. Default 0. */
  readonly idleInTransactionTimeoutMs?: number | undefined;
  /** Prepared statements for tagged queries of the raw client. Default: where the server is reached without a pooler. `true`: also through a pooler, which has to keep them, as PgBouncer 1.21 can. */
  readonly prepare?: boolean | undefined;
  /**
   * Puts the trace of a call behind each of its statements, as a comment of sqlcommenter, for logs of the server. Such a statement is not
   * prepared. Default `false`.
   */
  readonly traceComments?: boolean | undefined;
  /** Custom types of the raw client, as postgres.js takes them. */
  readonly types?: Readonly<Record<string, PostgresType>> | undefined;
  /** Called with notices of the server. Default: they are not reported. */
  readonly onNotice?: ((notice: Readonly<Record<string, string>>) => void) | undefined;
  /** Tables and relations for drizzle's `db.query`. */
  readonly schema?: TSchema | undefined;
  /** How drizzle turns keys into column names. Default: as they are. */
  readonly casing?: "snake_case" | "camelCase" | undefined;
  /** Drizzle's logger of queries. Default: none. */
  readonly logger?: Logger | undefined;
  /** Migrations applied at start, by one of all starting instances: a folder, or more. Default: none. */
  readonly migrations?: string | MigrationOptions | undefined;
  /** Processes that have such a pool; at start `DATABASE_CHANNELS.overcommit` announces when together they may exceed the server's limit. Default 1. */
  readonly instances?: number | undefined;
  /** URLs of read replicas, for `replica(db)`. Default: none. */
  readonly replicas?: readonly (SecretSource | Secret)[] | undefined;
  /** Lag, in ms, from which on a replica is not read. Default 5,000. */
  readonly maxReplicaLagMs?: number | undefined;
  /** Time between two looks at the lag, in ms. Default 1,000. */
  readonly replicaCheckMs?: number | undefined;
}

/** Options of a database. Durations are in ms; `undefined` means the default. */
export interface DatabaseInput<TSchema extends Schema = Record<string, never>>
  extends ServerOptions, PoolBounds, SessionOptions<TSchema> {}

/** Checked options of a database: with all defaults, and secrets that no print shows. */
export interface DatabaseOptions extends CheckedPostgresOptions {
  readonly embedded?: { readonly dataDir?: string | undefined } | undefined;
  readonly client?: Sql | undefined;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly leakThresholdMs: number;
  readonly idleInTransactionTimeoutMs: number;
  readonly prepare?: boolean | undefined;
  readonly traceComments: boolean;
  readonly types?: Readonly<Record<string, PostgresType>> | undefined;
  readonly onNotice?: ((notice: Readonly<Record<string, string>>) => void) | undefined;
  readonly schema?: Schema | undefined;
  readonly casing?: "snake_case" | "camelCase" | undefined;
  readonly logger?: Logger | undefined;
  readonly migrations?: Migrations | undefined;
  readonly instances: number;
  readonly replicas: readonly Secret[];
  readonly maxReplicaLagMs: number;
  readonly replicaCheckMs: number;
}

const durationMs = msSchema(0); // 0 switches it off
const positiveMs = msSchema();

const urlSecret = postgresUrlSchema(parsePostgresUrl);

/**
 * What is wrong with a URL, in the words in which the option `url` is refused and without any part of it: for settings
 * that are checked before a database is made of them. `undefined` for a URL that is taken.
 *
 * @example
 * ```ts
 * import { databaseUrlProblem } from "@steward/database";
 * console.log(databaseUrlProblem("postgres://app:pass%word@a:5432,b:5433/app")); // => has a % that begins no percent-encoding: write %25 for a % in a name or password
 * console.log(databaseUrlProblem("postgres://app:pass%25word@a:5432,b:5433/app")); // => undefined
 * ```
 */
export function databaseUrlProblem(url: string): string | undefined {
  return postgresUrlProblem(url, parsePostgresUrl);
}

const migrations = v.union([
  v.pipe(
    v.string(),
    v.nonEmpty("must name a folder"),
    v.transform((folder): Migrations => ({
      folder,
      table: "__drizzle_migrations",
      schema: "drizzle",
      mode: "apply",
      lockTimeoutMs: 1_000,
    })),
  ),
  v.strictObject({
    folder: v.pipe(v.string(), v.nonEmpty("must name a folder")),
    table: v.optional(v.string(), "__drizzle_migrations"),
    schema: v.optional(v.string(), "drizzle"),
    mode: v.optional(v.picklist(["apply", "wait", "check"]), "apply"),
    lockTimeoutMs: v.optional(durationMs, 1_000),
    url: v.optional(urlSecret),
  }),
]);

/** Checked migrations. */
export interface Migrations {
  readonly folder: string;
  readonly table: string;
  readonly schema: string;
  readonly mode: "apply" | "wait" | "check";
  readonly lockTimeoutMs: number;
  readonly url?: Secret | undefined;
}

const isObject = (x: unknown): boolean => typeof x === "object" && x !== null;

const entries = v.strictObject({
  ...postgresEntries(parsePostgresUrl),
  embedded: v.optional(v.strictObject({ dataDir: v.optional(v.string()) })),
  client: v.optional(
    givenSchema<Sql>((x) => typeof x === "function" && "reserve" in x && "options" in x, "a client of postgres.js"),
  ),
  maxConnections: v.optional(count(1)),
  connectTimeoutMs: v.optional(positiveMs),
  leakThresholdMs: v.optional(durationMs, 60_000),
  idleInTransactionTimeoutMs: v.optional(durationMs, 0),
  prepare: v.optional(v.boolean()),
  traceComments: v.optional(v.boolean(), false),
  types: v.optional(givenSchema<Readonly<Record<string, PostgresType>>>(isObject, "an object of types")),
  onNotice: v.optional(functionSchema<(notice: Readonly<Record<string, string>>) => void>()),
  schema: v.optional(givenSchema<Schema>(isObject, "an object of tables and relations")),
  casing: v.optional(v.picklist(["snake_case", "camelCase"])),
  logger: v.optional(givenSchema<Logger>((x) => hasMethods(x, "logQuery"), "an object with logQuery")),
  migrations: v.optional(migrations),
  instances: v.optional(count(1), 1),
  replicas: v.optional(
    v.pipe(
      v.array(urlSecret),
      v.transform((urls) => (urls.length === 0 ? undefined : urls)),
    ),
  ),
  maxReplicaLagMs: v.optional(durationMs, 5_000),
  replicaCheckMs: v.optional(positiveMs, 1_000),
});

const OF_A_SERVER = ["tls", "replicas", "migrations", "password", "types", "session"];

const RULES: readonly OptionsRule[] = [
  ...POSTGRES_RULES,
  [
    "client",
    "excludes every option that says how to connect, and migrations and replicas: a client of yours has its own",
    (given) => given["client"] !== undefined && hasAny(given, ["url", "embedded", ...POSTGRES_PARTS, ...OF_A_SERVER]),
  ],
  [
    "embedded",
    "excludes url, host, port, user, password, database, tls and replicas: it is in this process",
    (given) =>
      given["embedded"] !== undefined && hasAny(given, ["url", "tls", "replicas", "password", ...POSTGRES_PARTS]),
  ],
  [
    "maxConnections",
    "must be 1 with embedded, which has one connection",
    (given) => given["embedded"] !== undefined && (given["maxConnections"] ?? 1) !== 1,
  ],
];

/** The schema of the options. */
export const databaseSchema: v.GenericSchema<unknown, DatabaseOptions> = v.pipe(
  entries,
  rulesBetween(RULES),
  v.transform((o) => ({
    ...o,
    replicas: o.replicas ?? [],
    maxConnections: o.maxConnections ?? (o.embedded === undefined ? 10 : 1),
    connectTimeoutMs: o.connectTimeoutMs ?? (o.timeoutMs === 0 ? 5_000 : Math.min(5_000, Math.max(1_000, o.timeoutMs))),
  })),
);
