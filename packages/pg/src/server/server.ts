import { connectTls, inEnvironment, isLoopback, tlsFor, type ConnectTls, type Exposure } from "@steward/core/driver";
import type { PoolConfig } from "pg";
import type { CheckedOptions } from "../options.ts";
import { parseUrl } from "./url.ts";

/** Where a pool connects to, and how. */
export interface Server {
  /** For messages: host and port, never a secret. */
  readonly label: string;
  /** What pg needs for one connection. */
  readonly config: PoolConfig;
  readonly exposures: readonly Exposure[];
  /** Where it is, by OpenTelemetry's names. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** The server that options name. */
export async function serverOf(options: CheckedOptions): Promise<Server> {
  const url = options.url === undefined ? undefined : parseUrl(await options.url.reveal());
  const host = url?.host ?? options.host ?? process.env["PGHOST"] ?? "localhost";
  const port = url?.port ?? options.port ?? Number(process.env["PGPORT"] ?? 5432);
  const user = url?.user ?? options.user;
  const database = url?.database ?? options.database;
  const password = passwordOf(options, url?.password);
  const tls = tlsFor(host, connectTls(options.tls ?? url?.tls));
  const config: PoolConfig = {
    host,
    port,
    ssl: tls,
    keepAlive: true,
    application_name: inEnvironment(options.applicationName, options.environment),
    ...(user === undefined ? {} : { user }),
    ...(database === undefined ? {} : { database }),
    ...(password === undefined ? {} : { password }),
    ...(options.statementTimeoutMs === 0 ? {} : { statement_timeout: options.statementTimeoutMs }),
    ...(options.types === undefined ? {} : { types: options.types() }),
  };
  const namespace = database ?? process.env["PGDATABASE"] ?? user;
  return {
    label: `${host}:${port}`,
    config,
    exposures: exposuresOf(host, port, tls, password !== undefined),
    attributes: {
      ...(namespace === undefined ? {} : { "db.namespace": namespace }),
      "server.address": host,
      "server.port": port,
    },
  };
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
