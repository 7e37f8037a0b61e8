import * as v from "valibot";
import { environmentSchema, inEnvironment } from "../environment.ts";
import type { BreakerOptions } from "../guard/breaker.ts";
import { breakerSchema } from "../guard/schema.ts";
import { countSchema, msSchema, ruleSchema, secretSchema, textSchema } from "../options/atoms.ts";
import { hasAny, type OptionsRule } from "../options/between.ts";
import { rule } from "../options/rules.ts";
import { tlsSchema, type TlsOption } from "../options/tls.ts";
import type { Secret, SecretSource } from "../secret.ts";
import { UrlProblem } from "./postgres-url.ts";

/** How to connect to one server of Postgres. */
export interface PostgresServerOptions {
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
}

/** Bounds of a pool of connections to Postgres. Durations are in ms. */
export interface PostgresPoolOptions {
  /** Most connections of this pool. Default 10. */
  readonly maxConnections?: number | undefined;
  /** Most queries and acquisitions that wait for a connection; one more fails with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** A circuit breaker for queries: it opens when there is no connection or no answer; errors of SQL do not count. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Longest wait for a connection, in the queue and while connecting. Default 5,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Longest query, time in the queue included; then it is cancelled at the server. 0: no limit. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest connect, login included. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Silence of the server after which we ask over another connection whether it still works on the query. 0: never. Default 1,000. */
  readonly silenceMs?: number | undefined;
  /** Idle time after which a connection is closed. 0: never. Default 60,000. */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /** Age at which a connection is replaced. 0: never. Default 1,800,000. */
  readonly maxLifetimeMs?: number | undefined;
  /** Longest time that a connection is held; then it is closed, which rolls back. 0: no limit. Default 0. */
  readonly transactionTimeoutMs?: number | undefined;
  /** `statement_timeout` of the server: a backstop should this process die. 0: none. Default 0. */
  readonly statementTimeoutMs?: number | undefined;
  /** Name in `pg_stat_activity`. Default `steward`. */
  readonly applicationName?: string | undefined;
  /** Where this runs, such as `production`; the start fails at a database that is marked for another. Default: nothing is marked. */
  readonly environment?: string | undefined;
}

/** What has the same default in all drivers. */
type Defaulted = Exclude<keyof PostgresPoolOptions, "maxConnections" | "connectTimeoutMs" | "environment">;

/** Once checked: with the defaults that all drivers have, and secrets that no print shows. */
export type CheckedPostgresOptions = Omit<PostgresServerOptions, "url" | "password"> &
  Pick<PostgresPoolOptions, "environment"> & { readonly [K in "url" | "password"]?: Secret | undefined } & {
    readonly [K in Defaulted]: NonNullable<PostgresPoolOptions[K]>;
  };

/** The parts that a URL says. */
export const POSTGRES_PARTS: readonly string[] = ["host", "port", "user", "database"];

type Entries<T> = { readonly [K in keyof T]-?: v.GenericSchema<unknown, T[K]> };

/** Schemas of what all drivers of Postgres take. @param parse Throws a {@link UrlProblem} for a URL that the driver does not take. */
export function postgresEntries(parse: (url: string) => unknown): Entries<CheckedPostgresOptions> {
  const duration = (defaultMs: number): v.GenericSchema<unknown, number> => v.optional(msSchema(0), defaultMs); // 0 switches it off
  return {
    url: v.optional(postgresUrlSchema(parse)),
    host: v.optional(textSchema()),
    port: v.optional(countSchema(1, 65_535)),
    user: v.optional(textSchema()),
    password: v.optional(secretSchema()),
    database: v.optional(textSchema()),
    session: v.optional(v.picklist(["any", "read-write"])),
    tls: v.optional(tlsSchema()),
    maxPending: v.optional(countSchema(0), 1_000),
    breaker: v.optional(breakerSchema(), {}),
    acquireTimeoutMs: v.optional(msSchema(), 5_000),
    timeoutMs: duration(30_000),
    silenceMs: duration(1_000),
    idleConnectionTimeoutMs: duration(60_000),
    maxLifetimeMs: duration(1_800_000),
    transactionTimeoutMs: duration(0),
    statementTimeoutMs: duration(0),
    applicationName: v.optional(v.pipe(v.string(), v.maxLength(63, "must have at most 63 characters")), "steward"),
    environment: v.optional(environmentSchema()),
  };
}

/** A URL of Postgres, which may hold a password. */
export function postgresUrlSchema(parse: (url: string) => unknown): v.GenericSchema<unknown, Secret> {
  const problemOf = (value: unknown): string | undefined =>
    typeof value === "string" ? postgresUrlProblem(value, parse) : undefined;
  return v.pipe(
    ruleSchema<unknown>(rule("a URL", problemOf)),
    secretSchema(() => true, "a URL such as postgres://user@host:5432/database"),
  );
}

/** What is wrong with a URL of Postgres, without any part of it; `undefined` for one that `parse` takes. */
export function postgresUrlProblem(url: string, parse: (url: string) => unknown): string | undefined {
  try {
    parse(url);
    return undefined;
  } catch (error) {
    return error instanceof UrlProblem ? error.message : "is not a URL";
  }
}

/** Rules between what all drivers of Postgres take. */
export const POSTGRES_RULES: readonly OptionsRule[] = [
  [
    "url",
    "excludes host, port, user and database: say where the server is one way or the other",
    (given) => given["url"] !== undefined && hasAny(given, POSTGRES_PARTS),
  ],
  [
    "applicationName",
    "must have at most 63 characters together with environment, which is put behind it",
    ({ applicationName, environment }) =>
      environment !== undefined && inEnvironment(String(applicationName), String(environment)).length > 63,
  ],
];
