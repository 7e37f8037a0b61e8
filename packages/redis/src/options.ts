import type { BreakerOptions, SecretSource } from "@steward/core";
import {
  breakerSchema,
  countSchema as count,
  environmentSchema,
  givenSchema,
  isFunction,
  msSchema,
  tlsSchema,
  textSchema,
  type OptionsSchema,
  type TlsOption,
  reconnectSchema,
  type BackoffBounds,
  type ReconnectOptions,
} from "@steward/core/driver";
import type { Redis } from "ioredis";
import * as v from "valibot";
import { parseRedisUrl } from "./connection/url.ts";

/** A host and port. */
export interface RedisAddress {
  readonly host: string;
  /** Default 6379, for sentinels 26379. */
  readonly port?: number | undefined;
}

/** How a pool connects, and how it behaves when the network does not. */
export interface RedisPoolOptions {
  /** `redis://user:password@host:port/db`, or `rediss://` for TLS. */
  readonly url?: string | undefined;
  /** Default `localhost`. */
  readonly host?: string | undefined;
  /** Default 6379. */
  readonly port?: number | undefined;
  /** Unix socket, instead of a host. */
  readonly path?: string | undefined;
  /** Sentinels to ask for the server; goes with `sentinelName`. */
  readonly sentinels?: readonly RedisAddress[] | undefined;
  /** Name under which the sentinels know the master. */
  readonly sentinelName?: string | undefined;
  /** User of the sentinels. */
  readonly sentinelUsername?: string | undefined;
  /** Password of the sentinels: text, or a function that fetches it. */
  readonly sentinelPassword?: SecretSource | undefined;
  /** Which server the sentinels must name: `master` (default), or a `replica`, for reading only. */
  readonly sentinelRole?: "master" | "replica" | undefined;
  /** A client of yours instead: looked after, never closed. */
  readonly client?: Redis | undefined;
  /** ACL user: text, or a function that is asked before every connect. Default: the server's default user. */
  readonly username?: SecretSource | undefined;
  /** Password: text, or a function that is asked before every connect, within `connectTimeoutMs`. */
  readonly password?: SecretSource | undefined;
  /** Number of the database. Default 0. */
  readonly db?: number | undefined;
  /** TLS; `true` for the system's certificates, `no-verify` for none that is checked. */
  readonly tls?: TlsOption | undefined;
  /** Put in front of every key. Default none. */
  readonly keyPrefix?: string | undefined;
  /**
   * Where this runs, such as `production`: it stands behind `keyPrefix` in every key, and the start fails at a server
   * that is marked for another. Default: none, and nothing is marked.
   */
  readonly environment?: string | undefined;
  /** Name in the server's `CLIENT LIST`. */
  readonly connectionName?: string | undefined;
  /** Longest connect, TLS and handshake included. Default 2,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Deadline of a command, time in the queue included. Default 2,000. */
  readonly timeoutMs?: number | undefined;
  /** Silence of a connection that owes replies, after which a second one is asked whether the server lives. Default 1,000. */
  readonly silenceMs?: number | undefined;
  /** Idle time before the first TCP keep-alive packet; 0 leaves it to the system. Default 5,000. */
  readonly keepAliveMs?: number | undefined;
  /** Commands that may be without a reply at once. Default 10,000. */
  readonly maxConcurrent?: number | undefined;
  /** Commands that may wait for a place or for a lost connection. 0 refuses at once. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** How long commands wait for a lost connection before all are refused at once. Default 1,000. */
  readonly offlineTimeoutMs?: number | undefined;
  /** Pauses between attempts to reconnect, less a random part of up to a half. Default 50 to 500. */
  readonly reconnect?: ReconnectOptions | undefined;
  /** Commands that may be sent again after a connection broke, besides those that only read. Default none. */
  readonly resend?: readonly string[] | undefined;
  /** Connections for blocking commands and `use`, besides the shared one. Default 10. */
  readonly maxConnections?: number | undefined;
  /** Longest wait for one of them. Default 1,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /** When an unused one of them is closed. Default 60,000. */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /** Silence on the connection of the subscriptions after which it is asked for a sign of life. Default 5,000. */
  readonly heartbeatMs?: number | undefined;
  /** A circuit breaker for commands: it opens when there is no answer or no connection; errors that the server replies do not count. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
}

/** Options of a Redis Cluster. `db`, `path` and the sentinels do not exist there. */
export interface RedisClusterOptions extends Omit<
  RedisPoolOptions,
  "url" | "host" | "port" | "path" | "db" | "client" | `sentinel${string}`
> {
  /** Nodes to begin with; the others are learnt from them. */
  readonly cluster: readonly RedisAddress[];
  /** Where reading commands go: `master` (default), `replica`, or `all`. */
  readonly scaleReads?: "master" | "replica" | "all" | undefined;
  /** Addresses under which the nodes are reached from here, by the `host:port` that they announce. Default: those. */
  readonly natMap?: Readonly<Record<string, RedisAddress>> | undefined;
  /** How often the map of slots is fetched anew. Default 5,000. */
  readonly slotsRefreshMs?: number | undefined;
}

type Common = Omit<RedisClusterOptions, "cluster" | "scaleReads" | "slotsRefreshMs" | "natMap">;
type Defaulted = {
  [K in keyof Common]-?: K extends
    | "username"
    | "password"
    | "tls"
    | "keyPrefix"
    | "environment"
    | "connectionName"
    | "breaker"
    ? never
    : K;
}[keyof Common];
type Filled<T> = T & { readonly [K in Defaulted]-?: Exclude<Common[K], undefined> } & {
  readonly reconnect: BackoffBounds;
};

/** Checked options of one server. */
export type RedisPoolSettings = Filled<RedisPoolOptions>;
/** Checked options of a cluster. */
export type RedisClusterSettings = Filled<RedisClusterOptions> &
  Required<Pick<RedisClusterOptions, "scaleReads" | "slotsRefreshMs">>;
/** What both have. */
export type RedisSettings = Filled<Common>;

const ms = msSchema(0);
const positiveMs = msSchema();
const text = textSchema();
const port = count(1, 65_535);
const secret = givenSchema<SecretSource>(
  (given) => typeof given === "string" || isFunction(given),
  "text or a function that gives it",
);
const address = v.strictObject({ host: text, port: v.optional(port) });
const addresses = v.pipe(v.array(address), v.nonEmpty("needs at least one address"));

const common = {
  username: v.optional(secret),
  password: v.optional(secret),
  tls: v.optional(tlsSchema()),
  keyPrefix: v.optional(v.string()),
  environment: v.optional(environmentSchema()),
  connectionName: v.optional(v.pipe(text, v.regex(/^[!-~]+$/, "may hold no spaces, for the server refuses them"))),
  connectTimeoutMs: v.optional(positiveMs, 2_000),
  timeoutMs: v.optional(positiveMs, 2_000),
  silenceMs: v.optional(positiveMs, 1_000),
  keepAliveMs: v.optional(ms, 5_000),
  maxConcurrent: v.optional(count(1), 10_000),
  maxPending: v.optional(count(0), 1_000),
  offlineTimeoutMs: v.optional(ms, 1_000),
  reconnect: v.optional(reconnectSchema({ minMs: 50, maxMs: 500 }), {}),
  resend: v.optional(v.array(text), []),
  breaker: v.optional(breakerSchema()),
  maxConnections: v.optional(count(1), 10),
  acquireTimeoutMs: v.optional(positiveMs, 1_000),
  idleConnectionTimeoutMs: v.optional(positiveMs, 60_000),
  heartbeatMs: v.optional(positiveMs, 5_000),
};

const NO_URL =
  "is not redis://host:port/db or rediss://host:port/db, with user:password@ before the host; a password is percent-encoded";

const one = {
  url: v.optional(
    v.pipe(
      v.string(),
      v.check((url) => redisUrlProblem(url) === undefined, NO_URL),
    ),
  ),
  host: v.optional(text),
  port: v.optional(port),
  path: v.optional(text),
  sentinels: v.optional(addresses),
  sentinelName: v.optional(text),
  sentinelUsername: v.optional(text),
  sentinelPassword: v.optional(secret),
  sentinelRole: v.optional(v.picklist(["master", "replica"])),
  client: v.optional(givenSchema<Redis>(isClient, "an ioredis client (not a Cluster)")),
  db: v.optional(count(0)),
};

/**
 * What is wrong with a URL, in the words in which the option `url` is refused and without any part of it: for settings
 * that are checked before a client is made of them. `undefined` for a URL that is taken.
 *
 * @example
 * ```ts
 * import { redisUrlProblem } from "@steward/redis";
 * console.log(redisUrlProblem("http://cache")?.slice(0, 34)); // => is not redis://host:port/db or red
 * console.log(redisUrlProblem("redis://app:pass%25word@cache:6379/0")); // => undefined
 * ```
 */
export function redisUrlProblem(url: string): string | undefined {
  return parseRedisUrl(url) === undefined ? NO_URL : undefined;
}

function isClient(given: unknown): boolean {
  return typeof given === "object" && given !== null && "sendCommand" in given && "commandQueue" in given;
}

type Keys = Readonly<Record<string, unknown>>;

const TARGETS = ["url", "host", "path", "sentinels", "client"];
const OF_CONNECT = ["username", "password", "db", "tls", "connectionName"];

function targetsOf(options: Keys): string[] {
  return TARGETS.filter((key) => options[key] !== undefined);
}

function urlHas(url: unknown, key: string): boolean {
  const said = typeof url === "string" ? parseRedisUrl(url) : undefined;
  return (key === "username" || key === "password" || key === "db") && said?.[key] !== undefined;
}

/** Rules between options; the empty text means that all is well. */
function contradiction(options: Keys): string {
  const targets = targetsOf(options);
  const twice = OF_CONNECT.filter((key) => options[key] !== undefined && urlHas(options["url"], key));
  if (targets.length > 1) return `${targets.join(" and ")} contradict each other: say one way to connect`;
  if (options["port"] !== undefined && targets[0] !== undefined && targets[0] !== "host")
    return `port does not go with ${targets[0]}`;
  if (twice.length > 0) return `${twice.join(" and ")} is given twice: in the url and beside it`;
  if (options["tls"] === false && String(options["url"]).startsWith("rediss:"))
    return "tls: false contradicts rediss://";
  if ((options["sentinels"] === undefined) !== (options["sentinelName"] === undefined))
    return "sentinels and sentinelName go together";
  const stray = Object.keys(options).find((key) => key.startsWith("sentinel") && options["sentinels"] === undefined);
  if (stray !== undefined) return `${stray} needs sentinels`;
  const beside = OF_CONNECT.find((key) => options["client"] !== undefined && options[key] !== undefined);
  if (beside !== undefined) return `${beside} does not go with client: the client has its own`;
  return "";
}

/** Checks the options of one server (or sentinels, or a client of the user's). */
export const redisPoolSchema: OptionsSchema<RedisPoolSettings> = v.pipe(
  v.strictObject({ ...one, ...common }),
  v.rawCheck(({ dataset, addIssue }) => {
    const message = dataset.typed ? contradiction(dataset.value) : "";
    if (message !== "") addIssue({ message });
  }),
);

/** Checks the options of a cluster. */
export const redisClusterSchema: OptionsSchema<RedisClusterSettings> = v.pipe(
  v.strictObject({
    cluster: addresses,
    scaleReads: v.optional(v.picklist(["master", "replica", "all"]), "master"),
    slotsRefreshMs: v.optional(positiveMs, 5_000),
    natMap: v.optional(v.record(v.string(), address)),
    ...common,
  }),
);
