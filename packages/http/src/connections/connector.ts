import { isIP } from "node:net";
import { StewardError } from "@steward/core";
import { connectTls, describeError } from "@steward/core/driver";
import { buildConnector, Client } from "undici";
import type { HttpTlsOptions, ProxySettings } from "../options.ts";
import { AddressRules } from "./addresses.ts";

/** What a connection is made with. */
export interface ConnectorSettings {
  readonly resource: string;
  readonly connectTimeoutMs: number;
  readonly http2: boolean;
  readonly tls: HttpTlsOptions;
  readonly privateAddresses: "allow" | "refuse";
  readonly allowedAddresses: readonly string[];
  readonly proxy: ProxySettings | undefined;
}

/** The function with which all connections of a session are made: address rules, TLS, proxy. */
export function connector(settings: ConnectorSettings): buildConnector.connector {
  const direct = directConnector(settings);
  const { proxy } = settings;
  if (proxy === undefined) return direct;
  const tunnel = tunnelConnector(settings, proxy, direct);
  return (options, callback) => (bypasses(proxy.bypass, options.hostname) ? direct : tunnel)(options, callback);
}

function directConnector(settings: ConnectorSettings): buildConnector.connector {
  const { resource, connectTimeoutMs, http2, tls, privateAddresses, allowedAddresses } = settings;
  const rules = privateAddresses === "refuse" ? new AddressRules(resource, allowedAddresses) : undefined;
  const connect = buildConnector({
    ...connectTls(tls),
    allowH2: http2,
    timeout: connectTimeoutMs,
    ...(rules === undefined ? {} : { lookup: rules.lookup }),
  } as buildConnector.BuildOptions); // the lookup of sockets has more forms than the types say
  if (rules === undefined) return connect;
  return (options, callback) => {
    // Sockets look up names only: an address as host is checked here.
    const refusal = isIP(options.hostname) === 0 ? undefined : rules.refusal(options.hostname, options.hostname);
    if (refusal === undefined) connect(options, callback);
    else callback(refusal, null);
  };
}

function bypasses(hosts: readonly string[], hostname: string): boolean {
  return hosts.some((host) => (host.startsWith("*.") ? hostname.endsWith(host.slice(1)) : hostname === host));
}

/** Asks the proxy for a tunnel with CONNECT, then speaks TLS through it where the origin wants that. */
function tunnelConnector(
  settings: ConnectorSettings,
  proxy: ProxySettings,
  direct: buildConnector.connector,
): buildConnector.connector {
  return async (options, callback) => {
    let socket: TunnelSocket;
    try {
      socket = await openTunnel(settings, proxy, options);
    } catch (error) {
      return callback(error as Error, null); // `openTunnel` fails with errors only
    }
    if (options.protocol === "https:") direct({ ...options, httpSocket: socket }, callback);
    else callback(null, socket);
  };
}

type TunnelSocket = NonNullable<buildConnector.Options["httpSocket"]>;

async function openTunnel(
  settings: ConnectorSettings,
  proxy: ProxySettings,
  options: buildConnector.Options,
): Promise<TunnelSocket> {
  const { resource, connectTimeoutMs, tls } = settings;
  const host = isIP(options.hostname) === 6 ? `[${options.hostname}]` : options.hostname;
  const target = `${host}:${options.port || (options.protocol === "https:" ? 443 : 80)}`;
  const refused = (why: string, cause?: unknown): StewardError =>
    new StewardError(
      "HTTP_PROXY_REFUSED",
      `${resource}: proxy ${new URL(proxy.url).host} opened no tunnel to ${target}: ${why}`,
      { resource, cause, retryable: true },
    );
  const client = new Client(proxy.url, {
    connect: { ...connectTls(tls), timeout: connectTimeoutMs },
    headersTimeout: 0,
  });
  try {
    const signal = AbortSignal.timeout(connectTimeoutMs);
    const { statusCode, socket } = await client.connect({
      path: target,
      headers: { host: target, ...(await authorization(proxy)) },
      signal,
    });
    if (statusCode === 200) return socket as TunnelSocket; // undici hands over the very socket it made
    socket.on("error", () => {}).destroy();
    throw refused(`status ${statusCode}`);
  } catch (error) {
    void client.destroy();
    throw error instanceof StewardError ? error : refused(describeError(error), error);
  }
}

async function authorization({ username, password }: ProxySettings): Promise<Record<string, string>> {
  if (username === undefined && password === undefined) return {};
  const secret = (await password?.reveal()) ?? "";
  return { "proxy-authorization": `Basic ${Buffer.from(`${username ?? ""}:${secret}`).toString("base64")}` };
}
