import {
  functionSchema,
  givenSchema,
  hasAny,
  hasMethods,
  countSchema,
  msSchema,
  POSTGRES_PARTS,
  POSTGRES_RULES,
  postgresEntries,
  rulesBetween,
  type CheckedPostgresOptions,
  type PostgresPoolOptions,
  type PostgresServerOptions,
} from "@steward/core/driver";
import type { ClientBase, CustomTypesConfig, Pool } from "pg";
import * as v from "valibot";
import { parseUrl } from "./server/url.ts";

/** Options of a {@link PgPoolManager}. Durations are in ms; `undefined` means the default. */
export interface PgPoolOptions extends PostgresServerOptions, PostgresPoolOptions {
  /** A pool of yours: it is looked after, but never ended. Instead of all that says how to connect. */
  readonly client?: Pool | undefined;
  /** Age at which a connection is replaced, in whole seconds. 0: never. Default 1,800,000. */
  readonly maxLifetimeMs?: number | undefined;
  /** Parsers of types, as pg takes them. */
  readonly types?: CustomTypesConfig | undefined;
  /** Called with each new connection before it is used. Default: nothing. */
  readonly onConnect?: ((client: ClientBase) => void | Promise<void>) | undefined;
}

/** Checked options: with all defaults, and secrets that no print shows. What is not ours to freeze is behind functions. */
export interface CheckedOptions extends CheckedPostgresOptions {
  readonly client?: (() => Pool) | undefined;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly types?: (() => CustomTypesConfig) | undefined;
  readonly onConnect?: ((client: ClientBase) => void | Promise<void>) | undefined;
}

const entries = v.strictObject({
  ...postgresEntries(parseUrl),
  client: v.optional(
    v.pipe(
      givenSchema<Pool>((value) => hasMethods(value, "connect", "query", "end"), "a pg.Pool"),
      v.transform((pool) => () => pool),
    ),
  ),
  maxConnections: v.optional(countSchema(1), 10),
  connectTimeoutMs: v.optional(msSchema(), 5_000),
  types: v.optional(
    v.pipe(
      givenSchema<CustomTypesConfig>((value) => hasMethods(value, "getTypeParser"), "an object with getTypeParser"),
      v.transform((types) => () => types),
    ),
  ),
  onConnect: v.optional(functionSchema<(client: ClientBase) => void | Promise<void>>()),
});

const OF_CONNECTING = ["url", "session", "tls", "password", "types", "onConnect", ...POSTGRES_PARTS];

/** What the options of a manager must be. */
export const pgPoolSchema: v.GenericSchema<unknown, CheckedOptions> = v.pipe(
  entries,
  rulesBetween([
    ...POSTGRES_RULES,
    [
      "client",
      "excludes every option that says how to connect: a pool of yours has its own",
      (given) => given["client"] !== undefined && hasAny(given, OF_CONNECTING),
    ],
  ]),
);
