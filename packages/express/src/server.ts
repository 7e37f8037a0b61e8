import { createServer, type Server } from "node:http";
import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll } from "@steward/core/container";
import { appServer, type AppServerOptions, type NodeServer } from "@steward/server/node";
import type { Express } from "express";

/** How a server is made. */
export type ExpressServerOptions<N extends Needs> = AppServerOptions<Express, N>;

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
 * import express from "express";
 * import { container, runMain } from "@steward/container";
 * import { expressServer, handler, problems, steward } from "@steward/express";
 * const server = expressServer("server", {
 *   listen: () => ({ port: 3000 }),
 *   app: (_values, running) => {
 *     const app = express();
 *     steward(app, { running });
 *     app.get("/", handler({}, () => "hello"));
 *     return app.use(problems());
 *   },
 * });
 * await runMain(container([server]));
 * ```
 */
export function expressServer<const N extends Needs = {}>(
  name: string,
  options: ExpressServerOptions<N>,
): Definition<NodeServer<Server>, "application", OpenOfAll<N>> {
  return appServer(name, options, (app, timeouts) => createServer(timeouts, app));
}
