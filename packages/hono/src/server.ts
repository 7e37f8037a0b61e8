import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll } from "@steward/core/container";
import { appServer, type AppServerOptions, type NodeServer } from "@steward/server/node";
import type { Hono } from "hono";

/** How a server is made. */
export type HonoServerOptions<N extends Needs> = AppServerOptions<Hono, N>;

/**
 * Defines a server as a resource: it listens while the rest of its container starts, so that probes are answered; it
 * drains before what its requests need is stopped.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {NOT_REGISTERED} at start, when the app has no `steward(app, ...)`.
 * @throws {PORT_BUSY} at start, when another program has the port.
 *
 * @example
 * ```ts no-run
 * import { Hono } from "hono";
 * import { container, runMain } from "@steward/container";
 * import { honoServer, handler, steward } from "@steward/hono";
 * const server = honoServer("server", {
 *   listen: () => ({ port: 3000 }),
 *   app: (_values, running) => {
 *     const app = new Hono();
 *     steward(app, { running });
 *     app.get("/", handler({}, () => "hello"));
 *     return app;
 *   },
 * });
 * await runMain(container([server]));
 * ```
 */
export function honoServer<const N extends Needs = {}>(
  name: string,
  options: HonoServerOptions<N>,
): Definition<NodeServer<Server>, "application", OpenOfAll<N>> {
  // Without TLS it makes a server of HTTP/1.
  return appServer(
    name,
    options,
    (app, serverOptions) => createAdaptorServer({ fetch: app.fetch, serverOptions }) as Server,
  );
}
