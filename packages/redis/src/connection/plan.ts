import { Secret, type SecretSource } from "@steward/core";
import { connectTls, inEnvironment, isLoopback, type Exposure } from "@steward/core/driver";
import type { RedisOptions } from "ioredis";
import { parseRedisUrl } from "./url.ts";
import type { RedisAddress, RedisClusterSettings, RedisPoolSettings, RedisSettings } from "../options.ts";

/** How to make a connection: where to, and with which credentials. */
export interface LinkPlan {
  /** Where it leads, without secrets; for messages. */
  readonly where: string;
  /** Whether the credentials may be others the next time they are asked for. */
  readonly isFetched?: boolean;
  /** The driver's options for the next connect. Credentials are fetched anew every time. */
  options(): Promise<RedisOptions>;
  /** Called with where a connection leads, where others have named that. */
  reached?(host: string, port: number): void;
}

/** Called with where a connection leads that others have named. */
export type Reached = NonNullable<LinkPlan["reached"]>;

type Credentials = Pick<RedisSettings, "username" | "password" | "tls" | "connectionName">;

/** The driver's names for what every connection has, whatever it leads to. */
function shared(settings: RedisSettings): RedisOptions {
  return {
    connectTimeout: settings.connectTimeoutMs,
    keepAlive: settings.keepAliveMs,
    ...tlsOptions(settings.tls),
    ...(settings.connectionName === undefined
      ? {}
      : { connectionName: inEnvironment(settings.connectionName, settings.environment) }),
  };
}

function tlsOptions(tls: Credentials["tls"]): Pick<RedisOptions, "tls"> {
  const connect = connectTls(tls);
  return connect === false ? {} : { tls: connect };
}

async function login(user: SecretSource | undefined, password: Secret | undefined): Promise<RedisOptions> {
  if (password === undefined) return {};
  // The user first: where both are fetched, a password that is newer than its user would be wrong.
  const username = typeof user === "function" ? await user() : user;
  const given = await password.reveal();
  return username === undefined ? { password: given } : { username, password: given };
}

/** Whether a login may be another one the next time it is asked for. */
function isFetched(...login: readonly (SecretSource | undefined)[]): boolean {
  return login.some((source) => typeof source === "function");
}

function secretOf(source: SecretSource | undefined): Secret | undefined {
  return source === undefined ? undefined : new Secret(source);
}

/** The plan of one server, or of the server that the sentinels name. */
export function poolPlan(settings: RedisPoolSettings, reached: Reached): LinkPlan {
  if (settings.client !== undefined) return planOfClient(settings.client.options);
  if (settings.sentinels !== undefined) return sentinelPlan(settings, settings.sentinels, reached);
  const { host, port, path, db, username, password, tls } = partsOf(settings);
  const secret = secretOf(password);
  const target = path === undefined ? { host, port } : { path };
  return {
    where: path ?? `${host}:${port}`,
    isFetched: isFetched(username, password),
    options: async () => ({ ...shared({ ...settings, tls }), ...target, db, ...(await login(username, secret)) }),
  };
}

function partsOf(settings: RedisPoolSettings) {
  const { host = "localhost", port = 6_379, path, db = 0, username, password, tls, url } = settings;
  if (url === undefined) return { host, port, path, db, username, password, tls };
  const said = parseRedisUrl(url);
  return {
    host: said?.host ?? host,
    port: said?.port ?? port,
    path: undefined,
    db: said?.db ?? db,
    username: said?.username ?? username,
    password: said?.password ?? password,
    tls: said?.tls === true ? (tls ?? true) : tls,
  };
}

/** Dedicated connections beside a client of the user's go where it goes. */
function planOfClient(options: RedisOptions): LinkPlan {
  const { keyPrefix: _ofTheFacade, ...rest } = options;
  return { where: `${options.path ?? `${options.host}:${options.port}`}`, options: () => Promise.resolve(rest) };
}

function sentinelPlan(settings: RedisPoolSettings, sentinels: readonly RedisAddress[], reached: Reached): LinkPlan {
  const { sentinelName, sentinelUsername, sentinelRole = "master", db = 0, connectTimeoutMs } = settings;
  const secret = secretOf(settings.password);
  const ofSentinels = secretOf(settings.sentinelPassword);
  const { tls: ofSentinelTls } = tlsOptions(settings.tls);
  let attempt = 0;
  return {
    reached,
    where: `${sentinelRole} "${sentinelName}" of ${sentinels.length} sentinels`,
    isFetched: isFetched(settings.username, settings.password),
    async options() {
      const known = await login(sentinelUsername, ofSentinels);
      return {
        ...shared(settings),
        // Another one first every time, so that a frozen sentinel costs one attempt at most.
        sentinels: rotated(sentinels, attempt++).map(({ host, port = 26_379 }) => ({ host, port })),
        ...(sentinelName === undefined ? {} : { name: sentinelName }),
        role: sentinelRole === "replica" ? "slave" : "master",
        ...(known.username === undefined ? {} : { sentinelUsername: known.username }),
        ...(known.password === undefined ? {} : { sentinelPassword: known.password }),
        // The driver's `tls` is for the server that they name, and not even for that without this flag.
        ...(ofSentinelTls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: ofSentinelTls }),
        sentinelCommandTimeout: connectTimeoutMs / 2,
        sentinelRetryStrategy: () => null,
        sentinelReconnectStrategy: () => 1_000,
        failoverDetector: true,
        db,
        ...(await login(settings.username, secret)),
      };
    },
  };
}

/** Where a client leads, as ioredis' options say it; without secrets. */
export function shownOptions(settings: RedisPoolSettings): RedisOptions {
  const { connectTimeoutMs: connectTimeout, keepAliveMs: keepAlive } = settings;
  // Every command has a deadline instead.
  const common = { connectTimeout, keepAlive, maxRetriesPerRequest: null };
  if (settings.client !== undefined) {
    const { host, port, path, db } = settings.client.options;
    return { ...common, ...defined({ host, port, path, db }) };
  }
  const { host, port, path, db, username, tls } = partsOf(settings);
  const { sentinels, sentinelName: name, sentinelRole } = settings;
  const by = {
    sentinels: sentinels?.map((one) => ({ ...one })),
    name,
    role: sentinelRole === "replica" ? "slave" : "master",
  };
  const at = sentinels === undefined ? { host, port, path } : by;
  const as = { username: typeof username === "string" ? username : undefined, connectionName: settings.connectionName };
  return { ...common, ...defined({ ...at, ...as, db, tls: connectTls(tls) === false ? undefined : {} }) };
}

function defined(values: Readonly<Record<string, unknown>>): RedisOptions {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Where a server is, by OpenTelemetry's names; what sentinels name is not known here. */
export function attributesOf(settings: RedisPoolSettings): Readonly<Record<string, string | number>> {
  if (settings.client !== undefined) {
    const { path, host = "localhost", port = 6_379, db = 0 } = settings.client.options;
    return { "db.namespace": String(db), ...placeOf(path, host, port) };
  }
  const { host, port, path, db } = partsOf(settings);
  if (settings.sentinels !== undefined) return { "db.namespace": String(db) };
  return { "db.namespace": String(db), ...placeOf(path, host, port) };
}

function placeOf(path: string | undefined, host: string, port: number): Readonly<Record<string, string | number>> {
  return path === undefined ? { "server.address": host, "server.port": port } : { "server.address": path };
}

function rotated<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** The plan of one node of a cluster. */
export function nodePlan(settings: RedisClusterSettings, host: string, port: number): LinkPlan {
  const secret = secretOf(settings.password);
  return {
    where: `${host}:${port}`,
    isFetched: isFetched(settings.username, settings.password),
    options: async () => ({ ...shared(settings), host, port, ...(await login(settings.username, secret)) }),
  };
}

/**
 * What of the passwords others on the network could take, on their way to another machine that the options name. What
 * sentinels and nodes name is known later: {@link exposureAt}.
 */
export function exposuresOf(settings: RedisPoolSettings | RedisClusterSettings): readonly Exposure[] {
  if ("cluster" in settings) return exposures(settings.cluster, 6_379, settings.password, settings.tls);
  if (settings.client !== undefined) return [];
  if (settings.sentinels !== undefined)
    return exposures(settings.sentinels, 26_379, settings.sentinelPassword, settings.tls);
  const { host, port, path, password, tls } = partsOf(settings);
  return path === undefined ? exposures([{ host, port }], port, password, tls) : [];
}

/** The same for a server that a sentinel or a node of a cluster has named. */
export function exposureAt({ password, tls }: RedisSettings, host: string, port: number): readonly Exposure[] {
  return exposures([{ host, port }], port, password, tls);
}

function exposures(
  addresses: readonly RedisAddress[],
  usualPort: number,
  password: SecretSource | undefined,
  tls: Credentials["tls"],
): readonly Exposure[] {
  const connect = connectTls(tls);
  if (password === undefined || (connect !== false && connect["rejectUnauthorized"] === true)) return [];
  const how = connect === false ? "plaintext" : "unverified";
  const remedy =
    connect === false
      ? "tls: true (rediss:// in a URL)"
      : "tls: { ca }, with the authority of the server's certificate";
  return addresses
    .filter(({ host }) => !isLoopback(host))
    .map(({ host, port = usualPort }) => ({ what: `the password to ${host}:${port}`, how, remedy }));
}
