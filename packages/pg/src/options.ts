import type { BreakerOptions, Secret, SecretSource } from "@steward/core";
import {
  breakerSchema,
  countSchema,
  environmentSchema,
  functionSchema,
  givenSchema,
  hasMethods,
  inEnvironment,
  msSchema,
  rule,
  ruleSchema,
  secretSchema,
  textSchema,
  tlsSchema,
  UrlProblem,
  type TlsOption,
} from "@steward/core/driver";
import type { ClientBase, CustomTypesConfig, Pool } from "pg";
import * as v from "valibot";
import { parseUrl } from "./server/url.ts";

/** Options of a {@link PgPoolManager}. Durations are in ms; `undefined` means the default. */
export interface PgPoolOptions {
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
  /** TLS. Default: what `sslmode` in the URL says, else none. */
  readonly tls?: TlsOption | undefined;
  /** A pool of yours: it is looked after, but never ended. Instead of all that says how to connect. */
  readonly client?: Pool | undefined;
  /** Most connections. Default 10. */
  readonly maxConnections?: number | undefined;
  /** Most queries and acquisitions that wait for a connection; one more fails with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** A circuit breaker: it opens when there is no connection or no answer; errors of SQL do not count. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Longest wait for a connection, in the queue and while connecting. Default 5,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Longest `pool.query()`, time in the queue included; then it is cancelled at the server. 0: no limit. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest connect, login included. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Silence of the server after which we ask over another connection whether it still works on the query. 0: never. Default 1,000. */
  readonly silenceMs?: number | undefined;
  /** Idle time after which a connection is closed. 0: never. Default 60,000. */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /** Age at which a connection is replaced, in whole seconds. 0: never. Default 1,800,000. */
  readonly maxLifetimeMs?: number | undefined;
  /** Longest time that a connection of `pool.connect()` is held; then it is closed, which rolls back. 0: no limit. Default 0. */
  readonly transactionTimeoutMs?: number | undefined;
  /** `statement_timeout` of the server, also for statements on held connections. 0: none. Default 0. */
  readonly statementTimeoutMs?: number | undefined;
  /** Name in `pg_stat_activity`. Default `steward`. */
  readonly applicationName?: string | undefined;
  /** Where this runs, such as `production`; the start fails at a database that is marked for another. Default: nothing is marked. */
  readonly environment?: string | undefined;
  /** Parsers of types, as pg takes them. */
  readonly types?: CustomTypesConfig | undefined;
  /** Called with each new connection before it is used. Default: nothing. */
  readonly onConnect?: ((client: ClientBase) => void | Promise<void>) | undefined;
}

/** Checked options: with all defaults, and secrets that no print shows. What is not ours to freeze is behind functions. */
export interface CheckedOptions {
  readonly url?: Secret | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly database?: string | undefined;
  readonly session?: "any" | "read-write" | undefined;
  readonly tls?: TlsOption | undefined;
  readonly client?: (() => Pool) | undefined;
  readonly maxConnections: number;
  readonly maxPending: number;
  readonly breaker: BreakerOptions | false;
  readonly acquireTimeoutMs: number;
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly idleConnectionTimeoutMs: number;
  readonly maxLifetimeMs: number;
  readonly transactionTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
  readonly environment?: string | undefined;
  readonly types?: (() => CustomTypesConfig) | undefined;
  readonly onConnect?: ((client: ClientBase) => void | Promise<void>) | undefined;
}

function problemOfUrl(value: unknown): string | undefined {
  try {
    if (typeof value === "string") parseUrl(value);
    return undefined;
  } catch (error) {
    return error instanceof UrlProblem ? error.message : "is not a URL";
  }
}

const durationMs = msSchema(0);
const positiveMs = msSchema();

const entries = {
  url: v.optional(
    v.pipe(
      ruleSchema<unknown>(rule("a URL", problemOfUrl)),
      secretSchema(() => true, "a URL such as postgres://user@host:5432/database"),
    ),
  ),
  host: v.optional(textSchema()),
  port: v.optional(countSchema(1, 65_535)),
  user: v.optional(textSchema()),
  password: v.optional(secretSchema()),
  database: v.optional(textSchema()),
  session: v.optional(v.picklist(["any", "read-write"])),
  tls: v.optional(tlsSchema()),
  client: v.optional(
    v.pipe(
      givenSchema<Pool>((value) => hasMethods(value, "connect", "query", "end"), "a pg.Pool"),
      v.transform((pool) => () => pool),
    ),
  ),
  maxConnections: v.optional(countSchema(1), 10),
  maxPending: v.optional(countSchema(0), 1_000),
  breaker: v.optional(breakerSchema(), {}),
  acquireTimeoutMs: v.optional(positiveMs, 5_000),
  timeoutMs: v.optional(durationMs, 30_000),
  connectTimeoutMs: v.optional(positiveMs, 5_000),
  silenceMs: v.optional(durationMs, 1_000),
  idleConnectionTimeoutMs: v.optional(durationMs, 60_000),
  maxLifetimeMs: v.optional(durationMs, 1_800_000),
  transactionTimeoutMs: v.optional(durationMs, 0),
  statementTimeoutMs: v.optional(durationMs, 0),
  applicationName: v.optional(v.pipe(v.string(), v.maxLength(63, "must have at most 63 characters")), "steward"),
  environment: v.optional(environmentSchema()),
  types: v.optional(
    v.pipe(
      givenSchema<CustomTypesConfig>((value) => hasMethods(value, "getTypeParser"), "an object with getTypeParser"),
      v.transform((types) => () => types),
    ),
  ),
  onConnect: v.optional(functionSchema<(client: ClientBase) => void | Promise<void>>()),
};

type Parsed = v.InferOutput<v.StrictObjectSchema<typeof entries, undefined>>;

const PARTS = ["host", "port", "user", "database"] as const;

function hasAny(options: Parsed, keys: readonly (keyof Parsed)[]): boolean {
  return keys.some((key) => options[key] !== undefined);
}

/** What the options of a manager must be. */
export const pgPoolSchema: v.GenericSchema<unknown, CheckedOptions> = v.pipe(
  v.strictObject(entries),
  v.forward(
    v.check(
      (options) => options.url === undefined || !hasAny(options, PARTS),
      "excludes host, port, user and database: say where the server is one way or the other",
    ),
    ["url"],
  ),
  v.forward(
    v.check(
      (options) => inEnvironment(options.applicationName, options.environment).length <= 63,
      "must have at most 63 characters together with environment, which is put behind it",
    ),
    ["applicationName"],
  ),
  v.forward(
    v.check(
      (options) =>
        options.client === undefined ||
        !hasAny(options, ["url", "session", "tls", "password", "types", "onConnect", ...PARTS]),
      "excludes every option that says how to connect: a pool of yours has its own",
    ),
    ["client"],
  ),
);
