import { connectTls, inEnvironment, isLoopback, tlsFor, type ConnectTls, type Exposure } from "@steward/core/driver";
import type { PoolConfig } from "pg";
import type { CheckedOptions } from "../options.ts";
import { parseUrl, SESSIONS } from "./url.ts";

/** Where a pool connects to, and how: one host, or several that are taken in turn. */
export interface Server {
  /** For messages: hosts and ports, never a secret. */
  readonly label: string;
  /** What pg needs for one connection, to each of the hosts. */
  readonly hosts: readonly PoolConfig[];
  /** Whether only a server that takes writes will do. */
  readonly isWriting: boolean;
  readonly exposures: readonly Exposure[];
  /** Where it is, by OpenTelemetry's names. Of several hosts the first, which stands for all. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** The server that options name. */
export async function serverOf(options: CheckedOptions): Promise<Server> {
  const url = options.url === undefined ? undefined : parseUrl(await options.url.reveal());
  const port = options.port ?? Number(process.env["PGPORT"] ?? 5432);
  const own = { host: options.host ?? process.env["PGHOST"] ?? "localhost", port };
  const places =
    url === undefined || url.hosts.length === 0 ? [own] : url.hosts.map((one) => ({ ...one, port: one.port ?? port }));
  const user = url?.user ?? options.user;
  const database = url?.database ?? options.database;
  const password = passwordOf(options, url?.password);
  const asked = connectTls(options.tls ?? url?.tls);
  const common: PoolConfig = {
    keepAlive: true,
    application_name: inEnvironment(options.applicationName, options.environment),
    ...(user === undefined ? {} : { user }),
    ...(database === undefined ? {} : { database }),
    ...(password === undefined ? {} : { password }),
    ...(options.statementTimeoutMs === 0 ? {} : { statement_timeout: options.statementTimeoutMs }),
    ...(options.types === undefined ? {} : { types: options.types() }),
  };
  const namespace = database ?? process.env["PGDATABASE"] ?? user;
  const [first = own] = places;
  return {
    label: places.map(({ host, port }) => `${host}:${port}`).join(","),
    hosts: places.map(({ host, port }) => ({ ...common, host, port, ssl: tlsFor(host, asked) })),
    isWriting: (options.session ?? SESSIONS[url?.parameters["target_session_attrs"] ?? "any"]) === "read-write",
    exposures: places.flatMap(({ host, port }) => exposuresOf(host, port, tlsFor(host, asked), password !== undefined)),
    attributes: {
      ...(namespace === undefined ? {} : { "db.namespace": namespace }),
      "server.address": first.host,
      "server.port": first.port,
    },
  };
}

/** Where that client of ours is connected to, or the first host. */
export function hostOf({ hosts }: Server, client?: object): PoolConfig {
  const { host, port } = (client ?? {}) as { readonly host?: string; readonly port?: number };
  return hosts.find((one) => one.host === host && one.port === port) ?? hosts[0] ?? {};
}

function passwordOf({ password }: CheckedOptions, ofUrl: string | undefined): PoolConfig["password"] {
  if (password === undefined) return ofUrl;
  return async () => password.reveal(); // asked at each connect
}

function exposuresOf(host: string, port: number, tls: ConnectTls, hasPassword: boolean): readonly Exposure[] {
  if (!hasPassword || host.startsWith("/") || isLoopback(host)) return [];
  const what = `the password to ${host}:${port}`;
  if (tls === false) return [{ what, how: "plaintext", remedy: "tls: true" }];
  return tls["rejectUnauthorized"] === false ? [{ what, how: "unverified", remedy: "tls: true" }] : [];
}
