import { createServer } from "node:http";
import { constants, createSecureServer, createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { TlsOptions } from "node:tls";
import type { Definition } from "@steward/core";
import { withRoots, type AnyDefinition, type Needs, type OpenOfAll, type ValuesOf } from "@steward/core/container";
import { anything, assertShape, flag, func, milliseconds, required, shape, type Shape } from "@steward/core/driver";
import { rootOf } from "../route/root.ts";
import { NodeApp } from "./app.ts";
import { Routes, type NodeRouteOptions } from "./routes.ts";
import { NodeServer, type AnyServer, type ListenOptions } from "./server.ts";
import { serverResource } from "./server-resource.ts";
import type { NodeRequest } from "./node-request.ts";
import { settingRules, type NodeSettings } from "./settings.ts";

/** How long clients of a server may take. */
export interface ServerTimeouts {
  /** How long a request may take to arrive, in ms, body included: 408 for a slower one. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** How long a connection may be idle between two requests, in ms. Default 72,000, above that of common load balancers. */
  readonly keepAliveTimeoutMs?: number;
}

/** How a server is made. */
export interface ServeOptions<N extends Needs> extends NodeSettings<NodeRequest>, ServerTimeouts {
  /** What `listen` and `tls` are made with. */
  readonly needs?: N;
  /** Every path that it answers, besides those of its health. */
  readonly routes: readonly NodeRouteOptions[];
  /** Where it listens. */
  readonly listen: (values: ValuesOf<N>) => ListenOptions;
  /** Key and certificate: then it speaks TLS. */
  readonly tls?: (values: ValuesOf<N>) => TlsOptions;
  /** `true`: HTTP/2, and HTTP/1 too where it speaks TLS. Default HTTP/1 alone. */
  readonly http2?: boolean;
}

const serveShape: Shape<ServeOptions<{}>> = shape<ServeOptions<{}>>(() => ({
  ...settingRules(),
  ...timeoutRules(),
  needs: anything(), // checked by the definition
  routes: required(anything()), // checked by the router
  listen: required(func()),
  tls: func(),
  http2: flag(),
}));

/** Routes are checked when the server starts; what is none yet needs nothing. */
function rootsOfRoutes(routes: readonly NodeRouteOptions[]): AnyDefinition[] {
  return routes.map(({ method, path, handler }) => rootOf(`${[method].flat().join()} ${path}`, [], handler));
}

function timeoutRules() {
  return { requestTimeoutMs: milliseconds(1), keepAliveTimeoutMs: milliseconds(1) };
}

/**
 * Defines a server of plain `node:http` (or http2) as a resource: it listens while the rest of its container starts, so
 * that probes are answered and requests get 503; it drains before what its requests need is stopped.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {ROUTE_INVALID} at start, when a route asks for what it cannot have.
 * @throws {PORT_BUSY} at start, when another program has the port.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { resource } from "@steward/core";
 * import { from, handler, serve } from "@steward/server/node";
 * const greeting = resource("greeting", { start: () => "hello" });
 * const web = serve("web", {
 *   listen: () => ({ port: 0 }),
 *   routes: [{ method: "GET", path: "/:name", handler: handler({ greeting, name: from.path("name") }, ({ greeting, name }) => ({ [greeting]: name })) }],
 * });
 * await using running = await container([web, greeting]).start();
 * console.log(await (await fetch(`${running.get(web).url}/ann`)).text()); // => {"hello":"ann"}
 * ```
 */
export function serve<const N extends Needs = {}>(
  name: string,
  options: ServeOptions<N>,
): Definition<NodeServer, "application", OpenOfAll<N>> {
  assertShape(name, serveShape, options);
  const { needs, routes, listen, tls, http2 = false } = options;
  const definition = serverResource(name, needs, async (values, running) => {
    const app = new NodeApp(running, options);
    const { listener } = new Routes(app, routes);
    const server = serverOf(options, http2, tls?.(values)).on("request", listener as never); // http2 gives what looks the same
    return NodeServer.listen(server, listen(values), app);
  });
  return withRoots(definition, rootsOfRoutes(routes));
}

const CHECKS = 4;
const MAX_CHECK_MS = 2_000;

/** What Node's servers call these timeouts. */
export function timeoutsOf({ requestTimeoutMs = 30_000, keepAliveTimeoutMs = 72_000 }: ServerTimeouts): {
  readonly requestTimeout: number;
  readonly headersTimeout: number;
  readonly keepAliveTimeout: number;
  readonly connectionsCheckingInterval: number;
} {
  return {
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(MAX_CHECK_MS, Math.ceil(requestTimeoutMs / CHECKS)),
  };
}

function serverOf(options: ServerTimeouts, http2: boolean, tls: TlsOptions | undefined): AnyServer {
  const timeouts = timeoutsOf(options);
  if (!http2) return tls === undefined ? createServer(timeouts) : createHttpsServer({ ...timeouts, ...tls });
  const server = tls === undefined ? createHttp2Server() : createSecureServer({ allowHTTP1: true, ...tls });
  if (tls !== undefined) Object.assign(server, timeouts); // its clients of HTTP/1 would have Node's defaults
  server.on("stream", (stream) => boundArrival(stream, timeouts.requestTimeout));
  return server.on("session", (session) => {
    session.setTimeout(timeouts.keepAliveTimeout, () => session.close()); // it lets streams end
  });
}

/** A request of HTTP/2 whose body has not come in time is reset: Node bounds those of HTTP/1 alone. */
function boundArrival(stream: ServerHttp2Stream, timeoutMs: number): void {
  if (stream.endAfterHeaders) return;
  const timer = setTimeout(() => {
    if (stream.state.remoteClose !== 1) stream.close(constants.NGHTTP2_CANCEL);
  }, timeoutMs);
  stream.on("close", () => clearTimeout(timer));
}
