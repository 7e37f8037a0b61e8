import type { BreakerOptions, Secret, SecretSource } from "@steward/core";
import {
  breakerSchema,
  countSchema as count,
  environmentSchema,
  functionSchema,
  givenSchema,
  hasMethods,
  inEnvironment,
  msSchema,
  parsePostgresUrl,
  rule,
  ruleSchema,
  secretSchema,
  textSchema,
  tlsSchema,
  UrlProblem,
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

/** How to connect to one server, and what a connection says of itself. */
interface ServerOptions {
  /** `postgres://user:password@host:port/database`; a function is asked at each start. Instead of the single parts. */
  readonly url?: SecretSource | Secret | undefined;
  /** Host name, or folder of a Unix socket. Default: `PGHOST`, else `localhost`. */
  readonly host?: string | undefined;
  /** Default: `PGPORT`, else 5432. */
  readonly port?: number | undefined;
  /** Default: `PGUSER`, else the name of the process's user. */
  readonly user?: string | undefined;
  /** Text, or a function that is asked at each connect. Goes with `url` too, for a URL without one. */
  readonly password?: SecretSource | Secret | undefined;
  /** Default: `PGDATABASE`, else the user's name. */
  readonly database?: string | undefined;
  /**
   * Which of several hosts are taken: `read-write` only one that takes writes, so that a failover is followed; `any` each. Default: what
   * `target_session_attrs` in the URL says, else `any`.
   */
  readonly session?: "any" | "read-write" | undefined;
  /** TLS. Default: what `sslmode` in the URL says, else `PGSSLMODE`, else none. */
  readonly tls?: TlsOption | undefined;
  /** A Postgres inside this process (PGlite), in a folder or in memory. It has one connection. Needs `@electric-sql/pglite`. */
  readonly embedded?: { readonly dataDir?: string | undefined } | undefined;
  /** A client of postgres.js that is yours: it is looked after, but never closed. Instead of all other ways to connect. */
  readonly client?: Sql | undefined;
}

/** Bounds of a pool. */
interface PoolBounds {
  /** Most connections of this pool. Default 10; for `embedded` 1. */
  readonly maxConnections?: number | undefined;
  /** Most queries and acquisitions that wait for a connection; one more fails with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** A circuit breaker for queries: it opens when there is no connection or no answer; errors of SQL do not count. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Longest wait for a connection, in ms, in the queue and while connecting. Default 5,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Longest query, in ms, time in the queue included; then it is cancelled at the server. 0: no limit. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest connect, in ms, login included. Default 5,000, or `timeoutMs` where that is less, but at least 1,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Silence of the server, in ms, after which we ask over another connection whether it still works on the query. 0: never. Default 1,000. */
  readonly silenceMs?: number | undefined;
  /** Idle time, in ms, after which a connection is closed. 0: never. Default 60,000. */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /** Age, in ms, at which a connection is replaced, less up to a quarter so that they do not all go at once. 0: never. Default 1,800,000. */
  readonly maxLifetimeMs?: number | undefined;
  /** Longest transaction or reservation, in ms; then its connection is closed, which rolls back. 0: no limit. Default 0. */
  readonly transactionTimeoutMs?: number | undefined;
  /** Time, in ms, after which a held transaction or reservation is reported on `DATABASE_CHANNELS.leak`. 0: never. Default 60,000. */
  readonly leakThresholdMs?: number | undefined;
}

/** What each connection asks of the server. */
interface SessionOptions<TSchema extends Schema> {
  /** `statement_timeout` of the server, in ms: a backstop should this process die. 0: none. Default 0. */
  readonly statementTimeoutMs?: number | undefined;
  /** `idle_in_transaction_session_timeout` of the server, in ms. 0: none. Default 0. */
  readonly idleInTransactionTimeoutMs?: number | undefined;
  /** Name in `pg_stat_activity`. Default `steward`. */
  readonly applicationName?: string | undefined;
  /** Where this runs, such as `production`; the start fails at a database that is marked for another. Default: nothing is marked. */
  readonly environment?: string | undefined;
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
export interface DatabaseOptions {
  readonly url?: Secret | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly database?: string | undefined;
  readonly session?: "any" | "read-write" | undefined;
  readonly tls?: TlsOption | undefined;
  readonly embedded?: { readonly dataDir?: string | undefined } | undefined;
  readonly client?: Sql | undefined;
  readonly maxConnections: number;
  readonly maxPending: number;
  readonly breaker?: BreakerOptions | false | undefined;
  readonly acquireTimeoutMs: number;
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly idleConnectionTimeoutMs: number;
  readonly maxLifetimeMs: number;
  readonly transactionTimeoutMs: number;
  readonly leakThresholdMs: number;
  readonly statementTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  readonly applicationName: string;
  readonly environment?: string | undefined;
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

const urlSecret = v.pipe(
  ruleSchema<unknown>(rule("a URL", problemOfUrl)),
  secretSchema(() => true, "a URL such as postgres://user@host:5432/database"),
);

/** What is wrong with a URL; `undefined` when nothing is. */
function problemOfUrl(value: unknown): string | undefined {
  try {
    if (typeof value === "string") parsePostgresUrl(value);
    return undefined;
  } catch (error) {
    return error instanceof UrlProblem ? error.message : "is not a URL";
  }
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

const entries = {
  url: v.optional(urlSecret),
  host: v.optional(textSchema()),
  port: v.optional(count(1, 65_535)),
  user: v.optional(v.string()),
  password: v.optional(secretSchema()),
  database: v.optional(v.string()),
  session: v.optional(v.picklist(["any", "read-write"])),
  tls: v.optional(tlsSchema()),
  embedded: v.optional(v.strictObject({ dataDir: v.optional(v.string()) })),
  client: v.optional(
    givenSchema<Sql>((x) => typeof x === "function" && "reserve" in x && "options" in x, "a client of postgres.js"),
  ),
  maxConnections: v.optional(count(1)),
  maxPending: v.optional(count(0), 1_000),
  breaker: v.optional(breakerSchema()),
  acquireTimeoutMs: v.optional(positiveMs, 5_000),
  timeoutMs: v.optional(durationMs, 30_000),
  connectTimeoutMs: v.optional(positiveMs),
  silenceMs: v.optional(durationMs, 1_000),
  idleConnectionTimeoutMs: v.optional(durationMs, 60_000),
  maxLifetimeMs: v.optional(durationMs, 1_800_000),
  transactionTimeoutMs: v.optional(durationMs, 0),
  leakThresholdMs: v.optional(durationMs, 60_000),
  statementTimeoutMs: v.optional(durationMs, 0),
  idleInTransactionTimeoutMs: v.optional(durationMs, 0),
  applicationName: v.optional(v.pipe(v.string(), v.maxLength(63, "must have at most 63 characters")), "steward"),
  environment: v.optional(environmentSchema()),
  prepare: v.optional(v.boolean()),
  traceComments: v.optional(v.boolean(), false),
  types: v.optional(givenSchema<Readonly<Record<string, PostgresType>>>(isObject, "an object of types")),
  onNotice: v.optional(functionSchema<(notice: Readonly<Record<string, string>>) => void>()),
  schema: v.optional(givenSchema<Schema>(isObject, "an object of tables and relations")),
  casing: v.optional(v.picklist(["snake_case", "camelCase"])),
  logger: v.optional(givenSchema<Logger>((x) => hasMethods(x, "logQuery"), "an object with logQuery")),
  migrations: v.optional(migrations),
  instances: v.optional(count(1), 1),
  replicas: v.optional(v.array(urlSecret), []),
  maxReplicaLagMs: v.optional(durationMs, 5_000),
  replicaCheckMs: v.optional(positiveMs, 1_000),
};

type Parsed = v.InferOutput<v.StrictObjectSchema<typeof entries, undefined>>;

const PARTS = ["host", "port", "user", "database"] as const;
const OF_A_SERVER = ["tls", "replicas", "migrations", "password", "types", "session"] as const;

function given(o: Parsed, keys: readonly (keyof Parsed)[]): string | undefined {
  return keys.find((key) => o[key] !== undefined && !(Array.isArray(o[key]) && o[key].length === 0));
}

/** The schema of the options. */
export const databaseSchema: v.GenericSchema<unknown, DatabaseOptions> = v.pipe(
  v.strictObject(entries),
  v.forward(
    v.check(
      (o) => o.url === undefined || given(o, PARTS) === undefined,
      "excludes host, port, user and database: say where the server is one way or the other",
    ),
    ["url"],
  ),
  v.forward(
    v.check(
      (o) => o.client === undefined || given(o, ["url", "embedded", ...PARTS, ...OF_A_SERVER]) === undefined,
      "excludes every option that says how to connect, and migrations and replicas: a client of yours has its own",
    ),
    ["client"],
  ),
  v.forward(
    v.check(
      (o) => o.embedded === undefined || given(o, ["url", "tls", "replicas", "password", ...PARTS]) === undefined,
      "excludes url, host, port, user, password, database, tls and replicas: it is in this process",
    ),
    ["embedded"],
  ),
  v.forward(
    v.check(
      (o) => inEnvironment(o.applicationName, o.environment).length <= 63,
      "must have at most 63 characters together with environment, which is put behind it",
    ),
    ["applicationName"],
  ),
  v.forward(
    v.check(
      (o) => o.embedded === undefined || (o.maxConnections ?? 1) === 1,
      "must be 1 with embedded, which has one connection",
    ),
    ["maxConnections"],
  ),
  v.transform((o) => ({
    ...o,
    maxConnections: o.maxConnections ?? (o.embedded === undefined ? 10 : 1),
    connectTimeoutMs: o.connectTimeoutMs ?? (o.timeoutMs === 0 ? 5_000 : Math.min(5_000, Math.max(1_000, o.timeoutMs))),
  })),
);
