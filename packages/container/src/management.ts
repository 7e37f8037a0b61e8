import type { AddressInfo } from "node:net";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { healthEndpoints, type HealthSource } from "./health-endpoints.ts";
import { excludeFromTraffic } from "./traffic.ts";

/** Something else that the management listener serves, such as metrics. It answers the whole request. */
export type ManagementRoute = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Where a management listener listens and what it serves. */
export interface ManagementOptions {
  /** Default 0: the kernel picks one. */
  readonly port?: number;
  /** Default `127.0.0.1`: it shows details, so it is not for the world. */
  readonly host?: string;
  /** More paths, such as `/metrics`. */
  readonly routes?: Readonly<Record<string, ManagementRoute>>;
}

/** A small server of its own for health with all details, apart from what users reach. */
export interface ManagementListener extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Ends it, with every connection. */
  stop(): Promise<void>;
}

/**
 * Serves the health endpoints with all details, and what `routes` adds, on a port of its own.
 *
 * @throws What listening fails with, such as `EADDRINUSE`.
 */
export async function serveManagement(
  source: HealthSource,
  options: ManagementOptions = {},
): Promise<ManagementListener> {
  const { port = 0, host = "127.0.0.1", routes = {} } = options;
  const { createServer } = await import("node:http"); // only who serves pays for loading it
  const health = healthEndpoints(source, { details: true });
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").replace(/[?#].*$/s, "");
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route !== undefined) return void route(request, response);
    const answer = health(request.method ?? "GET", path, request.headers);
    response
      .writeHead(answer?.status ?? 404, answer?.headers ?? { "content-type": "text/plain" })
      .end(answer?.body ?? "not found\n");
  });
  excludeFromTraffic(server);
  await listen(server, port, host);
  const address = server.address() as AddressInfo; // it listens on TCP
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://${host}:${address.port}`, port: address.port, stop, [Symbol.asyncDispose]: stop };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
}
